/** Folder `producer`: generates heart-rate records or reads them from a file, and publishes them. It never reads the topic. */
import { Command } from "commander";
import { choice, decimal, integer, optional, parseSettings, setting, settingsError } from "../_shared/env.ts";
import { HEALTH_SETTINGS } from "../_shared/health.ts";
import { KAFKA_SETTINGS, kafkaConnection } from "../_shared/kafka/client.ts";
import { parseInstant } from "../_shared/record/instant.ts";
import type { WorkerContext } from "../_shared/lifecycle.ts";
import { LOG_SETTINGS } from "../_shared/telemetry.ts";
import type { Synthetic } from "./generate.ts";
import { parseMapping, type Recording } from "./recording/row.ts";
import { parseZone, timeFormat } from "./recording/time_format.ts";

const PROGRAM = "producer";
const OWN_SETTINGS = { ...HEALTH_SETTINGS, ...LOG_SETTINGS };
export const PRODUCER_SETTINGS = { ...KAFKA_SETTINGS, ...OWN_SETTINGS };

const SHARE = { min: 0, max: 1, unit: "share of the records", default: 0 };
const DURATION = { expected: "a duration such as 500ms, 30s, 5m, 2h or 7d" };
const INSTANT = { expected: "an instant such as 2026-01-31T08:00:00Z, or how long ago: 24h, 7d" };
const MAPPING = { expected: "customer_id=COLUMN,timestamp=COLUMN,heart_rate=COLUMN, each at most once" };
const TIME_FORMAT = { expected: "iso, epoch_s, epoch_ms or a pattern such as M/D/YYYY h:mm:ss A" };
const MICROS: Readonly<Record<string, number>> = { ms: 1e3, s: 1e6, m: 60e6, h: 3600e6, d: 86_400e6 };

// Commander passes every value on as text, so that `parseSettings` reports all wrong flags in one error.
const FLAGS = {
  rate: optional(decimal({ min: 0.001, max: 1e6, unit: "readings per second" })),
  customers: integer({ min: 1, max: 1e6, unit: "synthetic customers", default: 50 }),
  count: optional(integer({ min: 1, max: 1e12, unit: "records" })),
  duration: optional(setting(DURATION, parseDuration)),
  from: optional(setting(INSTANT, parseMoment)),
  to: optional(setting(INSTANT, parseMoment)),
  interval: setting({ ...DURATION, default: "10s" }, parseDuration),
  seed: integer({ min: 0, max: 4_294_967_295, unit: "seed", default: 1 }),
  "out-of-range-rate": decimal(SHARE),
  "malformed-rate": decimal(SHARE),
  "duplicate-rate": decimal(SHARE),
  "dropout-rate": decimal({ min: 0, max: 0.9, unit: "share of the time", default: 0.01 }),
  "arrhythmia-rate": decimal({ min: 0, max: 1, unit: "share of the customers", default: 0.1 }),
  file: optional(setting({ expected: "a CSV or NDJSON file, or - for standard input" }, (path) => path)),
  format: optional(choice(["csv", "ndjson"])),
  map: setting({ ...MAPPING, default: "customer_id=customer_id" }, parseMapping),
  "time-format": setting({ ...TIME_FORMAT, default: "iso" }, timeFormat),
  timezone: setting({ expected: "UTC or an offset such as +02:00", default: "UTC" }, parseZone),
  speed: setting({ expected: "a multiple of real time such as 1 or 60, or max", default: "max" }, parseSpeed),
  "shift-to-now": choice(["true", "false"], "false"),
  "skip-bad": choice(["true", "false"], "false"),
  compression: choice(["none", "gzip", "snappy", "lz4", "zstd"], "none"),
  partitions: integer({ min: 1, max: 10_000, unit: "partitions of a topic that is created", default: 6 }),
};

type Flags = ReturnType<typeof parseFlags>;

const USAGE: readonly [flag: string, description: string][] = [
  ["--customers <n>", "number of synthetic customers (default 50)"],
  ["--rate <n>", "live readings per second, of all customers together (default: one per customer)"],
  ["--count <n>", "stop after this many records"],
  ["--duration <time>", "stop after this time, such as 500ms, 30s, 5m, 2h or 7d"],
  ["--from <time>", "backfill from this instant (or 24h, 7d ago), as fast as Kafka takes the records"],
  ["--to <time>", "end of the backfill (default: now)"],
  ["--interval <time>", "time between two readings of a customer in a backfill (default 10s)"],
  ["--seed <n>", "the same seed and schedule give the same records (default 1)"],
  ["--out-of-range-rate <share>", "share of records with an impossible heart rate, 0 to 1 (default 0)"],
  ["--malformed-rate <share>", "share of malformed records, 0 to 1 (default 0)"],
  [
    "--duplicate-rate <share>",
    "share of records that repeat the customer's last reading, 0 to 1 (default 0)",
  ],
  ["--dropout-rate <share>", "share of the time in which a sensor has no contact, 0 to 0.9 (default 0.01)"],
  [
    "--arrhythmia-rate <share>",
    "share of customers with episodes of a very fast or slow heart (default 0.1)",
  ],
  [
    "--file <path>",
    "publish this recording: CSV with a header or NDJSON, in UTF-8, plain or gzipped; - is stdin",
  ],
  ["--format <name>", "csv or ndjson (default: from the file name)"],
  ["--map <columns>", "columns to read, such as customer_id=Id,timestamp=Time,heart_rate=Value"],
  [
    "--time-format <format>",
    'iso, epoch_s, epoch_ms or a pattern such as "M/D/YYYY h:mm:ss A" (default iso)',
  ],
  ["--timezone <offset>", "zone of times that have no offset: UTC or an offset such as +02:00 (default UTC)"],
  ["--speed <n>", "replay speed of a recording, as a multiple of real time, or max (default max)"],
  [
    "--shift-to-now",
    "move the recording in time, so that its last reading (with --speed 1, its first) is now",
  ],
  ["--skip-bad", "skip rows that cannot be read; the first five are logged, all are counted"],
  ["--compression <codec>", "none, gzip, snappy, lz4 or zstd (default none)"],
  ["--partitions <n>", "partitions of the topic, if the producer has to create it (default 6)"],
];
const HELP = `
Examples:
  deno task produce                                        50 customers, one reading a second each, until Ctrl-C
  deno task produce --rate 5000 --duration 1m --customers 2000
  deno task produce --count 100000 --rate 20000 --malformed-rate 0.005 --out-of-range-rate 0.005
  deno task produce --from 7d --interval 1m --customers 200     a week of history, as fast as possible
  zcat *.ndjson.gz | deno task produce --file - --format ndjson
  deno task produce --file heartrate.csv --map customer_id=Id,timestamp=Time,heart_rate=Value \\
                    --time-format "M/D/YYYY h:mm:ss A" --speed 60 --shift-to-now

The producer does not change a recording. A row that it cannot publish exactly ends the program with an error that names
the line; with --skip-bad it is skipped. The producer reads a file completely before it publishes anything. It can read
a pipe only once, so it publishes a pipe while it reads.

Environment: KAFKA_BOOTSTRAP_SERVERS (127.0.0.1:9092), KAFKA_TOPIC (heartbeats), KAFKA_SECURITY_PROTOCOL and the other
KAFKA_* settings, HEALTH_PORT (0 = any), LOG_LEVEL (info), LOG_FORMAT (pretty).
Exit codes: 0 Kafka acknowledged every record, 1 it did not or the recording cannot be used, 2 a wrong flag or setting.
After SIGTERM or Ctrl-C the producer sends the records that wait, prints the summary and exits with 0 or 1 as above.`;

/**
 * @param nowMicros microseconds since the Unix epoch; `--from 24h` counts back from this instant
 * @throws UsageError that names every wrong setting and flag
 * @throws CommanderError after --help and for an unknown flag
 */
export function readConfig(
  { args, env, readFile }: Pick<WorkerContext, "args" | "env" | "readFile">,
  nowMicros: number,
) {
  const flags = parseFlags(args);
  const { file, compression, partitions } = flags;
  const kafka = kafkaConnection(PROGRAM, "heartbeat-producer", env, readFile);
  const own = parseSettings(PROGRAM, OWN_SETTINGS, env);
  const records = file === undefined ? synthetic(flags, nowMicros) : recording(flags, file);
  return { kafka, own, compression, partitions, records };
}

function parseFlags(args: readonly string[]) {
  const command = new Command("produce").exitOverride()
    .description("Publishes heart-rate records to Kafka: synthetic ones, live or as history, or a recording.")
    .addHelpText("after", HELP);
  for (const [flag, description] of USAGE) command.option(flag, description);
  const values = Object.entries(command.parse([...args], { from: "user" }).opts())
    .map(([name, value]) => [name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`), String(value)]);
  return parseSettings(PROGRAM, FLAGS, Object.fromEntries(values), { label: (name) => `--${name}` });
}

function throwIfAny(problems: readonly (string | false)[]): void {
  const found = problems.filter((problem) => problem !== false);
  if (found.length > 0) throw settingsError(PROGRAM, found);
}

function synthetic(flags: Flags, nowMicros: number): Synthetic {
  const { customers, count, rate, duration, interval, from, to } = flags;
  const live = from === undefined;
  const startMicros = from?.(nowMicros);
  const endMicros = to?.(nowMicros) ?? nowMicros;
  throwIfAny([
    live && to !== undefined && "--to: is given without --from, expected both or none",
    !live && rate !== undefined && "--rate: is given with --from, expected --interval",
    !live && duration !== undefined && "--duration: is given with --from, expected --to",
    startMicros !== undefined && startMicros >= endMicros &&
    "--to: is not after --from, expected a later instant",
  ]);
  return {
    seed: flags.seed,
    customers,
    count,
    live,
    startMicros,
    durationMicros: startMicros === undefined ? duration ?? Infinity : endMicros - startMicros,
    spacingMicros: live ? 1e6 / (rate ?? customers) : interval / customers,
    arrhythmiaShare: flags["arrhythmia-rate"],
    dropoutShare: flags["dropout-rate"],
    faults: {
      outOfRange: flags["out-of-range-rate"],
      malformed: flags["malformed-rate"],
      duplicate: flags["duplicate-rate"],
    },
  };
}

function recording(flags: Flags, path: string): Recording {
  const ending = /\.(?:(csv)|ndjson|jsonl)(\.gz)?$/i.exec(path);
  const format = flags.format ?? (ending?.[1] === undefined ? "ndjson" : "csv");
  const expected = `expected csv or ndjson, because ${JSON.stringify(path)} ends in neither`;
  throwIfAny([
    ...(["rate", "duration", "from", "to"] as const)
      .map((name) => flags[name] !== undefined && `--${name}: is given with --file, expected --speed`),
    flags.format === undefined && ending === null && `--format: is missing, ${expected}`,
    flags.speed === 0 && "--speed: is 0, expected a multiple of real time above 0, or max",
  ]);
  return {
    path,
    format,
    mapping: flags.map,
    time: flags["time-format"],
    zone: flags.timezone,
    speed: flags.speed,
    shiftToNow: flags["shift-to-now"] === "true",
    skipBad: flags["skip-bad"] === "true",
    count: flags.count,
  };
}

function parseSpeed(text: string): number | undefined {
  if (text === "max") return Infinity;
  return /^\d{1,6}(\.\d{1,6})?$/.test(text) ? Number(text) : undefined;
}

/** @returns microseconds */
function parseDuration(text: string): number | undefined {
  const [, number, unit = ""] = /^(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)$/.exec(text) ?? [];
  const micros = Math.round(Number(number) * (MICROS[unit] ?? NaN));
  return micros > 0 ? micros : undefined;
}

/** @returns a function from the present to the moment, both in microseconds since the Unix epoch */
function parseMoment(text: string): ((nowMicros: number) => number) | undefined {
  const ago = parseDuration(text);
  if (ago !== undefined) return (nowMicros) => Math.floor((nowMicros - ago) / 1e6) * 1e6;
  const micros = Number(parseInstant(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00Z` : text));
  // The schedule counts microseconds in a double, which is exact for the years 1684 to 2255.
  return Number.isSafeInteger(micros) ? () => micros : undefined;
}
