import { deepStrictEqual, strictEqual } from "node:assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const WORKERS = ["consumer", "producer", "reconcile", "scenarios"] as const;

// A compromised package could try these actions. Each throws if Deno refuses it.
const TRIES: Readonly<Record<string, string>> = {
  "write a file": `Deno.writeTextFileSync(FOLDER + "/written", "x")`,
  "remove a file": `Deno.removeSync(FOLDER + "/kept")`,
  "write into the clone": `Deno.writeTextFileSync("workers/consumer/main.ts", "")`,
  "run a program": `new Deno.Command("id").outputSync()`,
  "load a library": `Deno.dlopen("/lib/libc.so.6", {})`,
  "ask for the machine's name": `Deno.hostname()`,
  "list the network's interfaces": `Deno.networkInterfaces()`,
  "read the memory of a process": `Deno.readFileSync("/proc/self/mem")`,
  "read the environment of a process": `Deno.readTextFileSync("/proc/self/environ")`,
  "ask for more":
    `if (Deno.permissions.requestSync({ name: "run" }).state !== "granted") throw new Deno.errors.NotCapable()`,
};

// The consumer stores its host name in public.consumer_status.
const GRANTED: Readonly<Record<string, { results: Record<string, string>; set: Record<string, unknown> }>> = {
  consumer: { results: { "ask for the machine's name": "done" }, set: { sys: ["hostname"] } },
};

/**
 * Runs the actions in a preload module of the worker.
 * @returns "done" or the name of the error, for each action
 */
async function tryAll(worker: string, folder: string): Promise<Record<string, string>> {
  const module = join(folder, `${worker}.ts`);
  const tries = Object.entries(TRIES).map(([what, code]) => {
    return `try { ${code}; results[${JSON.stringify(what)}] = "done" } catch (e) { results[${
      JSON.stringify(what)
    }] = e.name }`;
  });
  await Deno.writeTextFile(
    module,
    `const results = {}; const FOLDER = ${JSON.stringify(folder)};
${tries.join("\n")}
results["other variables"] = JSON.stringify([Deno.env.get("CANARY"), Deno.env.toObject().CANARY]);
Deno.stdout.writeSync(new TextEncoder().encode("TRIED " + JSON.stringify(results) + "\\n"));\n`,
  );
  const { stdout, code } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-q",
      "--no-prompt",
      `-P=${worker}`,
      "--preload",
      module,
      `workers/${worker}/main.ts`,
      "--help",
    ],
    cwd: ROOT,
    env: { CANARY: "in the environment", NO_COLOR: "1" },
    stdin: "null",
  }).output();
  strictEqual(code, 0, "the worker must still start");
  const line = new TextDecoder().decode(stdout).split("\n").find((one) => one.startsWith("TRIED "));
  return JSON.parse(line?.slice("TRIED ".length) ?? "{}");
}

Deno.test("the permissions of each worker do not allow writing files, running programs, loading libraries or reading other variables", async (t) => {
  const expected = Object.fromEntries(Object.keys(TRIES).map((what) => [what, "NotCapable"]));
  for (const worker of WORKERS) {
    await t.step(worker, async () => {
      const folder = await Deno.makeTempDir({ prefix: "heartbeat-permissions-" });
      try {
        await Deno.writeTextFile(join(folder, "kept"), "");
        const results = await tryAll(worker, folder);
        deepStrictEqual(results, {
          ...expected,
          ...GRANTED[worker]?.results,
          "other variables": "[null,null]",
        });
        await Deno.stat(join(folder, "kept"));
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    });
  }
});

Deno.test("each worker has only net, read and env permissions, and the consumer may also read its host name", async () => {
  const { permissions } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json"))) as {
    permissions: Record<string, Record<string, unknown> & { env: { ignore: boolean } }>;
  };
  for (const worker of WORKERS) {
    const { env, ...rest } = permissions[worker] ?? { env: { ignore: false } };
    deepStrictEqual(rest, { net: true, read: true, ...GRANTED[worker]?.set }, worker);
    // tests/unit/permissions_test.ts compares the listed variables with the settings.
    strictEqual(env.ignore, true, worker);
  }
});
