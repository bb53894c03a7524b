import { join } from "node:path";
import { Argument, Command, Option } from "commander";
import configuration from "../deno.json" with { type: "json" };
import { PipelineError } from "../workers/_shared/errors.ts";
import { EXIT, runWorker } from "../workers/_shared/lifecycle.ts";
import { writeOut } from "../workers/_shared/output.ts";

/**
 * The tasks that start the workers. The executables get the same permissions and V8 flags. This file reads the tasks
 * itself and does not import from stack/, because the image build does not copy that folder.
 *
 * The consumer's V8 flags limit the heap; the buffers outside the heap are bounded too. With a small young generation,
 * V8 frees the buffers of batches soon, which saves a quarter of the memory (measured by `deno task bench:soak`).
 */
const TASKS: Readonly<Record<string, string>> = {
  consumer: configuration.tasks.consume.command,
  producer: configuration.tasks.produce.command,
  monitor: configuration.tasks.monitor.command,
};

/** Keys as in Docker's TARGETARCH. */
const TARGETS: Readonly<Record<string, string>> = {
  amd64: "x86_64-unknown-linux-gnu",
  arm64: "aarch64-unknown-linux-gnu",
};

await runWorker(async ({ args, signal }) => {
  const command = new Command("compile").exitOverride()
    .description(
      "Compiles heartbeat-consumer, heartbeat-producer and heartbeat-monitor: executables that need no other file.",
    )
    .addArgument(
      new Argument("[workers...]", "workers to compile (default: all)").choices(Object.keys(TASKS)),
    )
    .addOption(new Option("--arch <name>", "compile for Linux on this processor (default: for this machine)")
      .choices(Object.keys(TARGETS)))
    .option("--output <folder>", "folder for the executables", "dist")
    .addHelpText("after", "\nExample: deno task compile consumer --arch arm64")
    .parse([...args], { from: "user" });
  const { arch, output } = command.opts<{ arch?: string; output: string }>();
  const workers = command.args.length === 0 ? Object.keys(TASKS) : command.args;
  const target = arch === undefined ? [] : ["--target", TARGETS[arch] ?? arch];
  const excluded = (await crashingTestData()).flatMap((path) => ["--exclude", path]);
  for (const worker of workers) {
    const [_deno, _run, ...words] = TASKS[worker]?.split(" ") ?? [];
    const main = words.pop() ?? "";
    const program = join(output, `heartbeat-${worker}`);
    await deno([
      "compile",
      ...words,
      "--frozen",
      "--no-check",
      "--no-code-cache",
      "--exclude-unused-npm",
      ...excluded,
      ...target,
      "-o",
      program,
      main,
    ], signal);
    writeOut(`${program}\n`);
  }
  return EXIT.ok;
});

/**
 * Deno 2.9 parses every file of an embedded package. Its stack overflows at the test data of bintrees, which comes
 * with prom-client: one sum of 100,000 lines (denoland/deno#36746).
 */
async function crashingTestData(): Promise<string[]> {
  const { npmCache } = JSON.parse(await deno(["info", "--json"]));
  const found: string[] = [];
  for await (const registry of Deno.readDir(npmCache)) {
    const versions = join(npmCache, registry.name, "bintrees");
    for (const { name } of await Array.fromAsync(Deno.readDir(versions)).catch(() => [])) {
      if (/^\d/.test(name)) found.push(join(versions, name, "test"));
    }
  }
  return found;
}

async function deno(args: readonly string[], signal?: AbortSignal): Promise<string> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    stdout: "piped",
    stderr: "inherit",
    ...(signal === undefined ? {} : { signal }),
  }).output();
  if (!success) {
    throw new PipelineError("compile_failed", `Cannot compile: deno ${args[0]} failed, see above`);
  }
  return new TextDecoder().decode(stdout);
}
