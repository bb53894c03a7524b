import { deepStrictEqual, match, strictEqual } from "node:assert";
import { createHash } from "node:crypto";
import { MIGRATIONS } from "../../migrations/mod.ts";
import { checksum } from "../../workers/consumer/schema/migrate.ts";

/** SHA-256 of each file. A line that changes here is a database somewhere that no longer starts. */
const RELEASED: Readonly<Record<string, string>> = {
  "0001_create_ledger_and_heartbeats": "e2f33e226475acd5382e0d8af9650e1583f9336f1a8126ff796b710f6a753e3d",
  "0002_partition_heartbeats": "217010c7d46738a0d4dd5d52c702d9311aef95e7c773b3f1b7e11853bb3e7169",
  "0003_add_minute_rollup": "44e3d8548cf33d74bd2781ffa0cdb7007a7b671d813a17f2d3f0f40842c3a726",
  "0004_add_ledger_positions": "43d77fc1b4834c68c70cadd4ddcdb1dda070064db8835468855628e6d2d3fe3a",
  "0005_add_leader_epoch": "0740b35b231e1aafdb7e4035242f51658e25a5d58376bcc30ab0f13c37864d74",
  "0006_index_ts_by_block_range": "fe8f810f183be7f42ef19dc382e6e4be5539acede52f7298d771b47324048463",
  "0007_lock_partitions_briefly": "7593e88700afb5cee207b5f4b764785b10044aa31040123b21f43bd9171d1614",
  "0008_summarize_block_ranges": "618ee6749cf9f34b73a44fb7e118f9c4b3471fec21772125634e3f1abab9f949",
  "0009_empty_old_rejects": "bbddd5f1374167473c31c33d4f73cf076329412e32d25f00afa542bd632062a7",
  "0010_drop_in_pieces": "66aec9a8317dd8f442f388872e289296236b069034482d660d062667460f0e9a",
  "0011_reopen_dropped_days": "a57f194c25f22ccebb85e55e496865e914e460f9e75fda61c7d08e9ba7591107",
  "0012_fence_schema_generation": "a06d44d6e0c6546f534931dd9d1e1e3de61cb50af691fb9d233d269791c6cba1",
};

Deno.test("migrations are numbered without a hole and named after their files", async () => {
  deepStrictEqual(MIGRATIONS.map(({ version }) => version), MIGRATIONS.map((_, index) => index + 1));
  for (const { version, name, sql } of MIGRATIONS) {
    match(name, new RegExp(`^${String(version).padStart(4, "0")}_[a-z0-9_]+$`));
    const file = new URL(`../../migrations/${name}.sql`, import.meta.url);
    strictEqual(sql, await Deno.readTextFile(file), name);
  }
});

Deno.test("every migration file is in the list", async () => {
  const files: string[] = [];
  for await (const { name } of Deno.readDir(new URL("../../migrations", import.meta.url))) {
    if (name.endsWith(".sql")) files.push(name.slice(0, -4));
  }
  deepStrictEqual(files.sort(), MIGRATIONS.map(({ name }) => name));
});

Deno.test("a migration says what it is called, why it is there and what it locks", () => {
  for (const { name, sql } of MIGRATIONS) {
    match(sql, new RegExp(`^-- ${name}\\r?\\n-- Why: [^]*?\\n-- Locks: `));
  }
});

Deno.test("a released migration is never edited", () => {
  deepStrictEqual(Object.fromEntries(MIGRATIONS.map(({ name, sql }) => [name, checksum(sql)])), RELEASED);
});

Deno.test("checksum() is the SHA-256 of the file, and the same for a checkout with other line endings", () => {
  const sql = "select 1;\nselect 2;\n";
  strictEqual(checksum(sql), createHash("sha256").update(sql).digest("hex"));
  strictEqual(checksum(sql.replaceAll("\n", "\r\n")), checksum(sql));
});
