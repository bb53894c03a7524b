import process from "node:process";
import { Command } from "commander";
import { EXIT, runWorker } from "../workers/_shared/lifecycle.ts";
import { writeOut } from "../workers/_shared/output.ts";
import { summarize } from "./lab/statistics.ts";
import * as kafka from "./parts/kafka.ts";
import type { MakePart } from "./parts/part.ts";
import * as record from "./parts/record.ts";

/** To add a part, export a function of type `MakePart` from a module in bench/parts. */
const PARTS: Readonly<Record<string, MakePart>> = { ...kafka, ...record };
const SIZES = [500, 5_000];
const WARM_UP_MS = 500;
const RUN_MS = 2_000;
/** The V8 flags of the task `consume`. */
const CONSUMER_FLAGS =
  "--v8-flags=--max-old-space-size=256,--max-semi-space-size=4,--heap-growing-percent=100";
const MEGABYTE = 1024 * 1024;

type Side = "own" | "alternative";

interface Found {
  readonly recordsPerSecond: number;
  readonly cpuSecondsPerMillion: number;
  /** How much the measurement raised the peak of resident memory. */
  readonly peakMb: number;
  readonly instead: string;
}

await runWorker(async ({ args, signal }) => {
  const { part, side, size, only, runs } = parseFlags(args);
  if (part !== undefined) {
    writeOut(JSON.stringify(await measure(part, side, size)));
    return EXIT.ok;
  }
  writeOut("part            records  way                          records/s  CPU s/million  peak MB\n");
  for (const name of only) {
    for (const records of SIZES) {
      const found: Record<Side, Found[]> = { own: [], alternative: [] };
      for (let run = 0; run < runs; run++) {
        for (const side of ["own", "alternative"] as const) {
          found[side].push(await inProcess(name, side, records));
        }
        signal.throwIfAborted();
      }
      for (const side of ["own", "alternative"] as const) writeOut(lineOf(name, records, side, found[side]));
    }
  }
  return EXIT.ok;
});

function lineOf(name: string, records: number, side: Side, found: readonly Found[]): string {
  const middle = (of: (run: Found) => number) => summarize(found.map(of)).median;
  return [
    name.padEnd(15),
    String(records).padStart(7),
    ` ${side === "own" ? "this repository" : found[0]?.instead}`.padEnd(28),
    Math.round(middle((run) => run.recordsPerSecond)).toLocaleString("en").padStart(10),
    middle((run) => run.cpuSecondsPerMillion).toFixed(3).padStart(14),
    middle((run) => run.peakMb).toFixed(0).padStart(8),
  ].join(" ") + "\n";
}

/** Each run is a new process. Otherwise compiled code and heap of one side would affect the other side. */
async function inProcess(part: string, side: Side, size: number): Promise<Found> {
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "--no-prompt", "-P=stack", CONSUMER_FLAGS, import.meta.filename ?? ""]
      .concat("--part", part, "--side", side, "--size", String(size)),
    stdin: "null",
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`${part} failed`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

async function measure(name: string, side: Side, size: number): Promise<Found> {
  const part = await PARTS[name]?.(size);
  if (part === undefined) throw new TypeError(`there is no part ${name}`);
  const way = part[side];
  const before = process.memoryUsage().rss;
  for (const until = performance.now() + WARM_UP_MS; performance.now() < until;) await way();
  const cpu = process.cpuUsage();
  const start = performance.now();
  let calls = 0;
  for (; performance.now() < start + RUN_MS; calls++) await way();
  const { user, system } = process.cpuUsage(cpu);
  const records = calls * size;
  return {
    recordsPerSecond: records / (performance.now() - start) * 1000,
    cpuSecondsPerMillion: (user + system) / records,
    peakMb: (process.resourceUsage().maxRSS * 1024 - before) / MEGABYTE,
    instead: part.instead,
  };
}

function parseFlags(args: readonly string[]) {
  const command = new Command("bench:parts")
    .description(
      "Compares code of this repository with the library code that could replace it. Run it on an idle machine.",
    )
    .option(
      "--only <names>",
      `parts to measure, separated by commas: some of ${Object.keys(PARTS).join(", ")}`,
    )
    .option("--runs <n>", "number of runs of each side", "5")
    .option("--part <name>", "measure this part once, in this process, and print JSON")
    .option("--side <own|alternative>", "for --part", "own")
    .option("--size <records>", "for --part", "500")
    .addHelpText("after", "\nExample:\n  deno task bench:parts --only lz4,snappy --runs 3")
    .exitOverride();
  const flags = command.parse([...args], { from: "user" }).opts<
    { only?: string; runs: string; part?: string; side: Side; size: string }
  >();
  return {
    ...flags,
    only: flags.only?.split(",") ?? Object.keys(PARTS),
    runs: Number(flags.runs),
    size: Number(flags.size),
  };
}
