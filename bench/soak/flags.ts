import { join } from "node:path";
import { Command } from "commander";
import { decimal, integer, parseSettings, settingsError, text } from "../../workers/_shared/env.ts";
import { MAX_RECORDS } from "./load.ts";

const PROGRAM = "soak";
/** More readings per second than one consumer stores on any known machine. */
const MAX_RECORDS_PER_SECOND = 270_000;

const FLAGS = {
  minutes: decimal({ min: 0.1, max: 300, unit: "minutes at full speed" }),
  backlog: integer({ min: 10_000, max: 100_000_000, unit: "records", default: 5_000_000 }),
  partitions: integer({ min: 1, max: 100, unit: "partitions", default: 6 }),
  limit: integer({ min: 1, max: 1_000_000, unit: "megabytes of resident memory", default: 256 }),
  out: text({ expected: "a folder", default: join(import.meta.dirname ?? ".", "..", "results") }),
};

export type SoakFlags = ReturnType<typeof parseSoakFlags>;

/** @throws UsageError that names every wrong flag, CommanderError after --help */
export function parseSoakFlags(args: readonly string[]) {
  const command = new Command("bench:soak")
    .description(
      "Measures memory, descriptors and throughput of a consumer at full speed, with a constant backlog.",
    )
    .requiredOption("--minutes <n>", "duration at full speed")
    .option("--backlog <records>", "number of records that wait in the log all the time (default 5000000)")
    .option("--partitions <n>", "number of partitions of the topic (default 6)")
    .option(
      "--limit <megabytes>",
      "maximum of resident memory: exit code 1 if the peak is above (default 256)",
    )
    .option("--out <folder>", "for soak.csv, soak.svg and soak.txt (default bench/results)")
    .addHelpText(
      "after",
      `
The consumer runs with the flags of the task "consume". An hour at full speed needs about 20 GB in the temporary
folder. It is not more, because stored records are deleted from the log and old days are dropped from the table.

Examples:
  deno task bench:soak --minutes 60
  deno task bench:soak --minutes 2 --backlog 500000 --out /tmp`,
    )
    .exitOverride();
  const values = command.parse([...args], { from: "user" }).opts();
  const flags = parseSettings(PROGRAM, FLAGS, values, { label: (name) => `--${name}` });
  const records = flags.backlog + flags.minutes * 60 * MAX_RECORDS_PER_SECOND;
  if (records > MAX_RECORDS) {
    const most = Math.floor((MAX_RECORDS - flags.backlog) / MAX_RECORDS_PER_SECOND / 60);
    throw settingsError(PROGRAM, [
      `--minutes: is ${flags.minutes}, expected at most ${most} with this backlog`,
    ]);
  }
  return flags;
}
