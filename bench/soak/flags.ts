/** The flags of the soak, and what --help says of them. */
import { join } from "node:path";
import { Command } from "commander";
import { decimal, integer, parseSettings, settingsError, text } from "../../workers/_shared/env.ts";
import { MOST_RECORDS } from "./load.ts";

const PROGRAM = "soak";
/** More than one consumer stores on any machine of today. */
const MOST_A_SECOND = 270_000;

const FLAGS = {
  minutes: decimal({ min: 0.1, max: 300, unit: "minutes at full speed" }),
  backlog: integer({ min: 10_000, max: 100_000_000, unit: "records that wait", default: 5_000_000 }),
  partitions: integer({ min: 1, max: 100, unit: "partitions", default: 6 }),
  limit: integer({ min: 1, max: 1_000_000, unit: "megabytes of resident memory, at most", default: 256 }),
  out: text({ expected: "a folder", default: join(import.meta.dirname ?? ".", "..", "results") }),
};

export type SoakFlags = ReturnType<typeof parseSoakFlags>;

/**
 * @throws UsageError that names every wrong flag
 * @throws CommanderError after --help, or for a flag that does not exist
 */
export function parseSoakFlags(args: readonly string[]) {
  const command = new Command("bench:soak")
    .description(
      "Measures what a consumer takes while it works at full speed with a backlog that never ends.",
    )
    .requiredOption("--minutes <n>", "how long, at full speed")
    .option("--backlog <records>", "that wait in the log all the time (default 5000000)")
    .option("--partitions <n>", "of the topic (default 6)")
    .option("--limit <megabytes>", "of resident memory: exit code 1 when the peak is above (default 256)")
    .option("--out <folder>", "for soak.csv, soak.svg and soak.txt (default bench/results)")
    .addHelpText(
      "after",
      `
The consumer runs with the flags of the task "consume". An hour at full speed takes about 20 GB of the temporary
folder's disk, since what is stored is deleted from the log, and days are dropped from the table as retention does.

Examples:
  deno task bench:soak --minutes 60
  deno task bench:soak --minutes 2 --backlog 500000 --out /tmp`,
    )
    .exitOverride();
  const values = command.parse([...args], { from: "user" }).opts();
  const flags = parseSettings(PROGRAM, FLAGS, values, { label: (name) => `--${name}` });
  const records = flags.backlog + flags.minutes * 60 * MOST_A_SECOND;
  if (records > MOST_RECORDS) {
    const most = Math.floor((MOST_RECORDS - flags.backlog) / MOST_A_SECOND / 60);
    throw settingsError(PROGRAM, [
      `--minutes: is ${flags.minutes}, expected at most ${most} with this backlog`,
    ]);
  }
  return flags;
}
