/** The producer's command line and environment. */
import { type Environment, parseSettings, settingsError } from "../_shared/env.ts";
import { HEALTH_SETTINGS } from "../_shared/health.ts";
import { KAFKA_SETTINGS, type KafkaConnection, kafkaConnection } from "../_shared/kafka/client.ts";
import { LOG_SETTINGS, type LogOptions } from "../_shared/telemetry.ts";
import { DURATION, type Flags, INSTANT, parseFlags, PROGRAM } from "./command_line.ts";
import { parseDuration, parseOffset } from "./duration.ts";
import type { GenerateOptions } from "./generate.ts";
import { type Mapping, parseMapping } from "./mapping.ts";
import type { Compression } from "../_shared/kafka/batch_writer.ts";
import { type TimeFormat, timeFormat } from "./recording/time_format.ts";

const OWN_SETTINGS = { ...HEALTH_SETTINGS, ...LOG_SETTINGS };
/** Every environment variable that the producer reads. */
export const PRODUCER_SETTINGS = { ...KAFKA_SETTINGS, ...OWN_SETTINGS };

/** Published when neither --rate, --from nor --file says how fast: one reading a second from each customer. */
const DEFAULT_INTERVAL_SECONDS = 1;

export type Synthetic =
  & Omit<GenerateOptions, "startMicros">
  & {
    /** Of a backfill; a live run begins when Kafka is there. */
    readonly startMicros?: number;
    readonly durationMicros?: number;
    /** Records that the schedule holds, when it ends. */
    readonly expected?: number;
  };

export interface Recording {
  readonly path: string;
  readonly format: "csv" | "ndjson";
  readonly mapping: Mapping;
  readonly time: TimeFormat;
  /** Multiple of real time; Infinity is as fast as Kafka takes it. */
  readonly speed: number;
  readonly shiftToNow: boolean;
  readonly skipBad: boolean;
  readonly count?: number;
}

export interface ProducerConfig {
  readonly kafka: KafkaConnection;
  readonly log: LogOptions;
  readonly health: { readonly HEALTH_HOST: string; readonly HEALTH_PORT: number };
  readonly compression: Compression;
  readonly partitions: number;
  readonly records: { readonly kind: "synthetic"; readonly options: Synthetic } | {
    readonly kind: "recording";
    readonly options: Recording;
  };
}

/**
 * Reads the command line and the environment.
 *
 * @param nowMicros the present, for instants such as 24h ago
 * @throws UsageError that names everything that is wrong
 * @throws CommanderError after --help, or for a flag that does not exist
 */
export function readConfig(
  args: readonly string[],
  env: Environment,
  readFile: (path: string) => string,
  nowMicros: number,
): ProducerConfig {
  const flags = parseFlags(args);
  const kafka = kafkaConnection(PROGRAM, "heartbeat-producer", env, readFile);
  const { HEALTH_HOST, HEALTH_PORT, LOG_LEVEL, LOG_FORMAT } = parseSettings(PROGRAM, OWN_SETTINGS, env);
  const problems: string[] = [];
  const { file } = flags;
  const records: ProducerConfig["records"] = file === undefined
    ? { kind: "synthetic", options: synthetic(flags, nowMicros, problems) }
    : { kind: "recording", options: recording(flags, file, problems) };
  if (problems.length > 0) throw settingsError(PROGRAM, problems);
  return {
    kafka,
    log: { LOG_LEVEL, LOG_FORMAT },
    health: { HEALTH_HOST, HEALTH_PORT },
    compression: flags.compression,
    partitions: flags.partitions,
    records,
  };
}

function synthetic(flags: Flags, nowMicros: number, problems: string[]): Synthetic {
  const { customers, count, rate } = flags;
  const shared = {
    seed: flags.seed,
    customers,
    arrhythmiaShare: flags["arrhythmia-rate"],
    dropoutShare: flags["dropout-rate"],
    faults: {
      outOfRange: flags["out-of-range-rate"],
      malformed: flags["malformed-rate"],
      duplicate: flags["duplicate-rate"],
    },
    ...(count === undefined ? {} : { count }),
  };
  const durationMicros = duration("duration", flags.duration, problems);
  if (flags.from === undefined) {
    if (flags.to !== undefined) problems.push("--to: is given without --from, expected both or none");
    const perSecond = rate ?? customers / DEFAULT_INTERVAL_SECONDS;
    const expected = count ?? (durationMicros && Math.ceil((durationMicros / 1e6) * perSecond));
    return {
      ...shared,
      spacingMicros: 1e6 / perSecond,
      live: true,
      ...(durationMicros === undefined ? {} : { durationMicros }),
      ...(expected === undefined ? {} : { expected }),
    };
  }
  if (rate !== undefined) {
    problems.push(
      "--rate: is given with --from, expected --interval: a backfill is as fast as Kafka takes it",
    );
  }
  if (durationMicros !== undefined) problems.push("--duration: is given with --from, expected --to");
  const startMicros = instant("from", flags.from, nowMicros, problems);
  const endMicros = flags.to === undefined ? nowMicros : instant("to", flags.to, nowMicros, problems);
  if (startMicros >= endMicros) problems.push("--to: is not after --from, expected a later instant");
  const spacingMicros = (duration("interval", flags.interval, problems) ?? NaN) / customers;
  const samples = Math.ceil((endMicros - startMicros) / spacingMicros);
  return {
    ...shared,
    startMicros,
    endMicros,
    spacingMicros,
    live: false,
    expected: Math.min(count ?? samples, samples),
  };
}

function recording(flags: Flags, path: string, problems: string[]): Recording {
  for (const name of ["rate", "duration", "from", "to"] as const) {
    if (flags[name] !== undefined) problems.push(`--${name}: is given with --file, expected --speed`);
  }
  const format = flags.format ?? formatOf(path);
  if (format === undefined) {
    problems.push(
      `--format: is missing, expected csv or ndjson, for ${JSON.stringify(path)} does not end in either`,
    );
  }
  const mapping = parseMapping(flags.map);
  if (mapping === undefined) {
    const expected = "customer_id=COLUMN,timestamp=COLUMN,heart_rate=COLUMN, each at most once";
    problems.push(`--map: is ${JSON.stringify(flags.map)}, expected ${expected}`);
  }
  const offset = parseOffset(flags.timezone);
  if (offset === undefined) {
    problems.push(
      `--timezone: is ${JSON.stringify(flags.timezone)}, expected UTC or an offset such as +02:00`,
    );
  }
  const time = timeFormat(flags["time-format"], offset ?? 0);
  if (time === undefined) {
    const expected = "iso, epoch_s, epoch_ms or a pattern such as M/D/YYYY h:mm:ss A";
    problems.push(`--time-format: is ${JSON.stringify(flags["time-format"])}, expected ${expected}`);
  }
  const speed = flags.speed === "max" ? Infinity : Number(flags.speed);
  if (speed === 0) problems.push("--speed: is 0, expected a multiple of real time above 0, or max");
  return {
    path,
    format: format ?? "csv",
    mapping: mapping as Mapping,
    time: time as TimeFormat,
    speed,
    shiftToNow: flags["shift-to-now"] === "true",
    skipBad: flags["skip-bad"] === "true",
    ...(flags.count === undefined ? {} : { count: flags.count }),
  };
}

function formatOf(path: string): "csv" | "ndjson" | undefined {
  if (/\.csv(\.gz)?$/i.test(path)) return "csv";
  return /\.(ndjson|jsonl)(\.gz)?$/i.test(path) ? "ndjson" : undefined;
}

function duration(flag: string, value: string | undefined, problems: string[]): number | undefined {
  if (value === undefined) return undefined;
  const micros = parseDuration(value);
  if (micros === undefined) problems.push(`--${flag}: is ${JSON.stringify(value)}, expected ${DURATION}`);
  return micros;
}

function instant(flag: string, value: string, nowMicros: number, problems: string[]): number {
  const ago = parseDuration(value);
  if (ago !== undefined) return Math.floor((nowMicros - ago) / 1e6) * 1e6;
  const dateOnly = /^\d{4}-\d{2}-\d{2}$/.test(value) ? `${value}T00:00:00Z` : value;
  const micros = timeFormat("iso", 0)?.parse(dateOnly);
  // The schedule counts microseconds in a double: the years 1684 to 2255.
  if (micros === undefined || !Number.isSafeInteger(Number(micros))) {
    problems.push(`--${flag}: is ${JSON.stringify(value)}, expected ${INSTANT}`);
    return NaN;
  }
  return Number(micros);
}
