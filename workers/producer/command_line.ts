/** The producer's flags, and what --help says of them. */
import { Command, Option } from "commander";
import { choice, decimal, integer, optional, parseSettings, text } from "../_shared/env.ts";

/** Completes "Cannot start the ...". */
export const PROGRAM = "producer";

export const DURATION = "a duration such as 500ms, 30s, 5m, 2h or 7d";
export const INSTANT = "an instant such as 2026-01-31T08:00:00Z, or how long ago: 24h, 7d";
const MAX_COUNT = 1e12;

/** Each flag once; its value arrives as text, so that every wrong one is reported in the same way. */
const FLAGS = {
  rate: optional(decimal({ min: 0.001, max: 1e6, unit: "readings per second" })),
  customers: integer({ min: 1, max: 1e6, unit: "synthetic customers", default: 50 }),
  count: optional(integer({ min: 1, max: MAX_COUNT, unit: "records" })),
  duration: optional(text({ expected: DURATION, pattern: /^[\d.]+(ms|s|m|h|d)$/ })),
  from: optional(text({ expected: INSTANT })),
  to: optional(text({ expected: INSTANT })),
  interval: text({ expected: DURATION, pattern: /^[\d.]+(ms|s|m|h|d)$/, default: "10s" }),
  seed: integer({ min: 0, max: 4_294_967_295, unit: "seed", default: 1 }),
  "out-of-range-rate": decimal({ min: 0, max: 1, unit: "share of the records", default: 0 }),
  "malformed-rate": decimal({ min: 0, max: 1, unit: "share of the records", default: 0 }),
  "duplicate-rate": decimal({ min: 0, max: 1, unit: "share of the records", default: 0 }),
  "dropout-rate": decimal({ min: 0, max: 0.9, unit: "share of the time", default: 0.01 }),
  "arrhythmia-rate": decimal({ min: 0, max: 1, unit: "share of the customers", default: 0.1 }),
  file: optional(text({ expected: "a CSV or NDJSON file, or - for standard input" })),
  format: optional(choice(["csv", "ndjson"])),
  map: text({
    expected: "customer_id=COLUMN,timestamp=COLUMN,heart_rate=COLUMN",
    default: "customer_id=customer_id,timestamp=timestamp,heart_rate=heart_rate",
  }),
  "time-format": text({ expected: "iso, epoch_s, epoch_ms or a pattern", default: "iso" }),
  timezone: text({ expected: "UTC or an offset such as +02:00", default: "UTC" }),
  speed: text({
    expected: "a multiple of real time such as 1 or 60, or max",
    pattern: /^(max|\d{1,6}(\.\d{1,6})?)$/,
    default: "max",
  }),
  "shift-to-now": choice(["true", "false"], "false"),
  "skip-bad": choice(["true", "false"], "false"),
  compression: choice(["none", "gzip", "snappy", "lz4", "zstd"], "none"),
  partitions: integer({ min: 1, max: 10_000, unit: "partitions of a topic that is created", default: 6 }),
};

export type Flags = ReturnType<typeof parseFlags>;

/**
 * @throws UsageError that names every malformed flag
 * @throws CommanderError after --help, or for a flag that does not exist
 */
export function parseFlags(args: readonly string[]) {
  const command = createCommand().parse([...args], { from: "user" });
  const values: Record<string, string> = {};
  for (const [name, value] of Object.entries(command.opts())) {
    values[name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)] = String(value);
  }
  return parseSettings(PROGRAM, FLAGS, values, { label: (name) => `--${name}` });
}

function createCommand(): Command {
  const flag = (flags: string, description: string) => new Option(flags, description);
  const command = new Command("produce").exitOverride()
    .description(
      "Publishes heart-rate records to Kafka: synthetic ones, live or as history, or a recording.",
    );
  for (
    const option of [
      flag("--customers <n>", "synthetic customers (default 50)"),
      flag(
        "--rate <n>",
        "readings per second, all customers together, on time (default: one for each customer)",
      ),
      flag("--count <n>", "stop after so many records"),
      flag("--duration <time>", "stop after 500ms, 30s, 5m, 2h or 7d"),
      flag("--from <time>", "backfill as fast as Kafka takes it: from this instant, or from 24h or 7d ago"),
      flag("--to <time>", "end of the backfill (default: now)"),
      flag("--interval <time>", "between two readings of a customer in a backfill (default 10s)"),
      flag("--seed <n>", "the same seed and schedule give the same records (default 1)"),
      flag("--out-of-range-rate <share>", "records with an impossible heart rate, 0 to 1 (default 0)"),
      flag("--malformed-rate <share>", "records that cannot be read, 0 to 1 (default 0)"),
      flag("--duplicate-rate <share>", "records that repeat the customer's last one, 0 to 1 (default 0)"),
      flag("--dropout-rate <share>", "of the time a sensor says nothing, 0 to 0.9 (default 0.01)"),
      flag("--arrhythmia-rate <share>", "customers with episodes of a very fast or slow heart (default 0.1)"),
      flag(
        "--file <path>",
        "publish a recording: UTF-8, CSV with a header or NDJSON, gzipped or not, - for stdin",
      ),
      flag("--format <name>", "csv or ndjson (default: by the file's ending)"),
      flag("--map <columns>", "which columns to read: customer_id=Id,timestamp=Time,heart_rate=Value"),
      flag("--time-format <format>", 'iso, epoch_s, epoch_ms or such as "M/D/YYYY h:mm:ss A" (default iso)'),
      flag("--timezone <offset>", "of times that name none: UTC or such as +02:00 (default UTC)"),
      flag("--speed <n>", "of the recording, as a multiple of real time, or max (default max)"),
      flag("--shift-to-now", "move the recording: at --speed 1 its first reading is now, else its last"),
      flag("--skip-bad", "go on after rows that cannot be read; shows the first five, counts all"),
      flag("--compression <codec>", "none, gzip, snappy, lz4 or zstd (default none)"),
      flag("--partitions <n>", "of the topic, when it is missing and has to be created (default 6)"),
    ]
  ) command.addOption(option);
  return command.addHelpText("after", HELP);
}

const HELP = `
Examples:
  deno task produce                                        50 customers, one reading a second each, until Ctrl-C
  deno task produce --rate 5000 --duration 1m --customers 2000
  deno task produce --count 100000 --rate 20000 --malformed-rate 0.005 --out-of-range-rate 0.005
  deno task produce --from 7d --interval 1m --customers 200     a week of history, as fast as it goes
  zcat *.ndjson.gz | deno task produce --file - --format ndjson
  deno task produce --file heartrate.csv --map customer_id=Id,timestamp=Time,heart_rate=Value \\
                    --time-format "M/D/YYYY h:mm:ss A" --speed 60 --shift-to-now

A recording is published as it is: a row that cannot be published exactly ends it, with its line, unless it is skipped.
A file is read through before anything is published. A pipe can be read only once, so that it is published as it is read.

Environment: KAFKA_BOOTSTRAP_SERVERS (127.0.0.1:9092), KAFKA_TOPIC (heartbeats), KAFKA_SECURITY_PROTOCOL and the other
KAFKA_* settings, HEALTH_PORT (0 = any), LOG_LEVEL (info), LOG_FORMAT (pretty).
Exit code: 0 when Kafka acknowledged every record, 1 when not or when a file gave no reading, 2 when called wrongly.
SIGTERM or Ctrl-C flushes what is in hand, prints the summary and counts as success.`;
