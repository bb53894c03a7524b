import { deepStrictEqual, match, strictEqual } from "node:assert";
import { createHash } from "node:crypto";
import { MIGRATIONS } from "../../migrations/mod.ts";
import { checksum } from "../../workers/consumer/schema/migrate.ts";

/** The SHA-256 of each file. After a change of a file, the consumer refuses every existing database. */
const RELEASED: Readonly<Record<string, string>> = {
  "0001_create_schema": "9dd1c4bc75abb6a71a01ecb08afbd081452af77c60548c8aca1e52e275bbcc68",
  "0002_add_anomaly_episodes": "24ffc34972a41a5af6ee7e7d50ec16f24cc7d44e83a44dad1f0b8d09f09c0163",
};

Deno.test("migrations are numbered without gaps and named like their files", async () => {
  deepStrictEqual(MIGRATIONS.map(({ version }) => version), MIGRATIONS.map((_, index) => index + 1));
  for (const { version, name, sql } of MIGRATIONS) {
    match(name, new RegExp(`^${String(version).padStart(4, "0")}_[a-z0-9_]+$`));
    const file = new URL(`../../migrations/${name}.sql`, import.meta.url);
    strictEqual(sql, await Deno.readTextFile(file), name);
  }
});

Deno.test("every migration file is in MIGRATIONS", async () => {
  const files: string[] = [];
  for await (const { name } of Deno.readDir(new URL("../../migrations", import.meta.url))) {
    if (name.endsWith(".sql")) files.push(name.slice(0, -4));
  }
  deepStrictEqual(files.sort(), MIGRATIONS.map(({ name }) => name));
});

Deno.test("the header of each migration gives its name, its reason and its locks", () => {
  for (const { name, sql } of MIGRATIONS) {
    match(sql, new RegExp(`^-- ${name}\\r?\\n-- Why: [^]*?\\n-- Locks: `));
  }
});

Deno.test("no released migration has changed", () => {
  deepStrictEqual(Object.fromEntries(MIGRATIONS.map(({ name, sql }) => [name, checksum(sql)])), RELEASED);
});

Deno.test("checksum() returns the SHA-256 of a file, independent of its line endings", () => {
  const sql = "select 1;\nselect 2;\n";
  strictEqual(checksum(sql), createHash("sha256").update(sql).digest("hex"));
  strictEqual(checksum(sql.replaceAll("\n", "\r\n")), checksum(sql));
});
