import { Command } from "commander";
import { settingsError } from "../workers/_shared/env.ts";
import { EXIT, runWorker } from "../workers/_shared/lifecycle.ts";

/** Each measurement is a task `bench:<name>`, which writes results/<name>.txt. */
const MEASUREMENTS = ["ingest", "latency", "flat", "producer", "scale", "idle", "monitor"];
const WITH_PEERS = ["ingest", "latency"];
const PROGRAM = "bench";
const DOCUMENT = new URL("../docs/performance.md", import.meta.url);

await runWorker(async ({ args, signal }) => {
  const { names, peers } = parseFlags(args);
  let code: number = EXIT.ok;
  for (const name of names) {
    if (signal.aborted) break;
    Deno.stderr.writeSync(new TextEncoder().encode(`\n${name}\n`));
    const flags = peers && WITH_PEERS.includes(name) ? ["--peers"] : [];
    const child = new Deno.Command(Deno.execPath(), {
      args: ["task", "-q", `bench:${name}`, ...flags],
      stdin: "null",
    }).spawn();
    const stop = () => child.kill("SIGTERM");
    signal.addEventListener("abort", stop, { once: true });
    if (!(await child.status).success) code = EXIT.failed;
    signal.removeEventListener("abort", stop);
  }
  await Deno.writeTextFile(DOCUMENT, await withTables(await Deno.readTextFile(DOCUMENT)));
  return code;
});

function parseFlags(args: readonly string[]): { names: readonly string[]; peers: boolean } {
  const command = new Command(PROGRAM)
    .description(
      "Runs the measurements and writes their tables into docs/performance.md. Takes about two hours.",
    )
    .option("--only <names>", `measurements to run, separated by commas: some of ${MEASUREMENTS.join(", ")}`)
    .option(
      "--peers",
      "also measure Telegraf and a Python consumer; the first run builds them (see bench/peers)",
    )
    .addHelpText("after", "\nExample:\n  deno task bench --only ingest,latency")
    .exitOverride();
  const { only, peers = false } = command.parse([...args], { from: "user" }).opts<
    { only?: string; peers?: boolean }
  >();
  const names = only?.split(",") ?? MEASUREMENTS;
  const unknown = names.find((name) => !MEASUREMENTS.includes(name));
  if (unknown !== undefined) {
    throw settingsError(PROGRAM, [`--only: is ${unknown}, expected some of ${MEASUREMENTS.join(", ")}`]);
  }
  return { names, peers };
}

/** Replaces each text between `<!-- results/NAME.txt -->` and `<!-- end -->` with the content of the file that it names. */
async function withTables(document: string): Promise<string> {
  const parts: string[] = [];
  let at = 0;
  for (const match of document.matchAll(/<!-- results\/(\w+)\.txt -->\n[^]*?<!-- end -->/g)) {
    const table = await Deno.readTextFile(new URL(`results/${match[1]}.txt`, import.meta.url));
    parts.push(document.slice(at, match.index));
    parts.push(`<!-- results/${match[1]}.txt -->\n\`\`\`\n${table.trimEnd()}\n\`\`\`\n<!-- end -->`);
    at = match.index + match[0].length;
  }
  return parts.join("") + document.slice(at);
}
