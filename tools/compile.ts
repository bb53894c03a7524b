/** Compiles the workers: one executable each, with its permissions, its packages and the migrations inside. */
import { join } from "node:path";
import { Argument, Command, Option } from "commander";
import configuration from "../deno.json" with { type: "json" };
import { PipelineError } from "../workers/_shared/errors.ts";
import { EXIT, runWorker } from "../workers/_shared/lifecycle.ts";
import { writeOut } from "../workers/_shared/output.ts";

/**
 * The task that starts each worker: its program is given the same permissions and V8's flags. Read here and not in
 * stack/, which the image's builder has no copy of.
 */
const TASKS: Readonly<Record<string, string>> = {
  // Its flags: what the heap may hold beside the bounded buffers, and a small space for what is young, so that the batches'
  // buffers are freed soon after them (a quarter less memory, measured by `task bench:soak`).
  consumer: configuration.tasks.consume.command,
  producer: configuration.tasks.produce.command,
};

/** As Docker's TARGETARCH calls them. */
const TARGETS: Readonly<Record<string, string>> = {
  amd64: "x86_64-unknown-linux-gnu",
  arm64: "aarch64-unknown-linux-gnu",
};

await runWorker(async ({ args, signal }) => {
  const command = new Command("compile").exitOverride()
    .description(
      "Writes heartbeat-consumer and heartbeat-producer: executables that need no file beside them.",
    )
    .addArgument(new Argument("[workers...]", "which ones").choices(Object.keys(TASKS)))
    .addOption(new Option("--arch <name>", "for Linux on this processor (default: this machine)")
      .choices(Object.keys(TARGETS)))
    .option("--output <folder>", "where to", "dist")
    .addHelpText("after", "\nExample: deno task compile consumer --arch arm64")
    .parse([...args], { from: "user" });
  const { arch, output } = command.opts<{ arch?: string; output: string }>();
  const workers = command.args.length === 0 ? Object.keys(TASKS) : command.args;
  const target = arch === undefined ? [] : ["--target", TARGETS[arch] ?? arch];
  const excluded = (await unparsable()).flatMap((path) => ["--exclude", path]);
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
 * Deno 2.9 parses every file of a package that it embeds, and overflows its stack at bintrees' test data: 100,000 lines
 * that read as one sum (denoland/deno#36746). bintrees comes with prom-client; its tests are left out.
 */
async function unparsable(): Promise<string[]> {
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
