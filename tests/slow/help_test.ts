import { deepStrictEqual, match, ok } from "node:assert";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

async function tasks(): Promise<string[]> {
  const config: { tasks: Record<string, { command: string }> } = JSON.parse(
    await Deno.readTextFile(new URL("../../deno.json", import.meta.url)),
  );
  // The other tasks run a command of Deno, which has its own help.
  return Object.entries(config.tasks).filter(([, { command }]) => command.startsWith("deno run"))
    .map(([name]) => name);
}

Deno.test("every task prints its usage and an example for --help, and starts nothing", async (t) => {
  const names = await tasks();
  ok(names.length > 20, `${names.length} tasks were found`);
  for (const name of names) {
    await t.step(name, async () => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["task", "-q", name, "--help"],
        cwd: ROOT,
        env: { NO_COLOR: "1" },
        stdin: "null",
      }).output();
      const help = new TextDecoder().decode(stdout);
      deepStrictEqual([code, new TextDecoder().decode(stderr)], [0, ""]);
      match(help, /^Usage: /);
      match(help, /Examples?:/);
    });
  }
});
