/** The schema of a heartbeat, reject reasons and limits. The faster parsers are tested against the schema. */
import { z } from "zod";
import { integer, type Settings, settingsError } from "../env.ts";
import { INSTANT_PATTERN, parseInstant } from "./instant.ts";

/** A PostgreSQL text cannot hold NUL or unpaired surrogates. */
// deno-lint-ignore no-control-regex
const CUSTOMER_ID = /^[^\u0000\uD800-\uDFFF]{1,128}$/u;
export const CUSTOMER_ID_EXPECTED =
  "1 to 128 characters without NUL and unpaired surrogates, or an integer up to 2^53-1";
const TIMESTAMP_EXPECTED =
  "an existing date and time in ISO 8601, such as 2026-07-14T09:30:00.123456Z or 2026-07-14T11:30+02:00";

/** JSON does not distinguish integers from other numbers (RFC 8259, section 6): 72, 72.0 and 7.2e1 are the same, and -0 is 0. */
export const heartbeatSchema = z.object({
  customer_id: z.union([
    z.string().regex(CUSTOMER_ID, { error: CUSTOMER_ID_EXPECTED }),
    z.int({ error: CUSTOMER_ID_EXPECTED }).transform(String),
  ], { error: CUSTOMER_ID_EXPECTED }).meta({
    description: "The person who wears the sensor. An integer means the same customer as its decimal text.",
  }),
  timestamp: z.string({ error: TIMESTAMP_EXPECTED }).transform((text, context) => {
    const instant = parseInstant(text);
    if (instant !== undefined) return instant;
    context.addIssue({ code: "custom", message: TIMESTAMP_EXPECTED });
    return z.NEVER;
  }).meta({
    description:
      "The instant of the measurement, in ISO 8601 or RFC 3339. Digits after the microseconds are dropped. " +
      "Without an offset it is UTC. The date must exist, and the year must be 0001 to 9999, as written and in UTC. " +
      "Second 60 is valid only at 23:59:60 UTC, and means the first second of the next day. " +
      "The consumer rejects an instant more than MAX_CLOCK_SKEW_SECONDS in the future.",
    // JSON Schema cannot express a transform. A test compares the pattern with the code.
    pattern: INSTANT_PATTERN.source,
  }),
  heart_rate: z.int({ error: "an integer (beats per minute)" }).meta({
    description: "Beats per minute. The consumer rejects values outside HEART_RATE_MIN to HEART_RATE_MAX.",
  }),
}).meta({
  title: "Heartbeat",
  description:
    "One heart-rate reading of one customer: the JSON value of a record in the topic heartbeats. " +
    "Extra members are ignored.",
});

export type Heartbeat = z.input<typeof heartbeatSchema>;

const isInteger = (value: unknown): value is number => Number.isSafeInteger(value);

export function isCustomerId(id: unknown): id is string | number {
  return typeof id === "string" ? CUSTOMER_ID.test(id) : isInteger(id);
}

/** A faster parser for valid records that the fast path leaves out. Undefined if only the schema can decide. */
export function parseWithoutSchema(
  { customer_id, timestamp, heart_rate }: Readonly<Record<string, unknown>>,
): z.output<typeof heartbeatSchema> | undefined {
  if (!isCustomerId(customer_id) || !isInteger(heart_rate) || typeof timestamp !== "string") return undefined;
  const instant = parseInstant(timestamp);
  return instant === undefined
    ? undefined
    : { customer_id: `${customer_id}`, timestamp: instant, heart_rate };
}

export interface Reading {
  readonly customerId: string;
  /** Microseconds since the Unix epoch. */
  readonly ts: bigint;
  readonly heartRate: number;
  readonly anomaly: Anomaly | null;
}

export type Anomaly = "low" | "high";

/**
 * The list is closed, because metrics have the reasons as labels. The reasons are stored, so never rename one. Append a new reason
 * at the end, because Grafana's colours go by position. Then add a scenario (`workers/scenarios/catalogue/`), and run
 * `deno task dashboards`.
 */
export const REJECT_REASONS = [
  "tombstone",
  "empty_value",
  "invalid_utf8",
  "invalid_json",
  "not_an_object",
  "missing_customer_id",
  "invalid_customer_id",
  "missing_timestamp",
  "invalid_timestamp",
  "timestamp_in_future",
  // Older than RETENTION_DAYS, or below the floor.
  "too_old",
  "missing_heart_rate",
  "invalid_heart_rate",
  "heart_rate_out_of_range",
  // The same customer and instant is stored with another heart rate. The first one stays.
  "conflicting_duplicate",
  // PostgreSQL refused the row for its own values, for example by a CHECK constraint.
  "database_rejected",
] as const;

export type RejectReason = typeof REJECT_REASONS[number];

const beatsPerMinute = (initial: number) =>
  integer({ min: 1, max: 1_000, unit: "beats per minute", default: initial });
/** A heart rate outside 30 to 220 is a sensor error. One below 45 or above 180 is rare enough for a person to check it. */
export const LIMIT_SETTINGS = {
  HEART_RATE_MIN: beatsPerMinute(30),
  HEART_RATE_MAX: beatsPerMinute(220),
  HEART_RATE_LOW: beatsPerMinute(45),
  HEART_RATE_HIGH: beatsPerMinute(180),
  MAX_CLOCK_SKEW_SECONDS: integer({ min: 0, max: 31_536_000, unit: "seconds", default: 300 }),
};

export interface Limits {
  /** Limits of valid heart rates, inclusive. */
  readonly minBpm: number;
  readonly maxBpm: number;
  /** A valid heart rate below `lowBpm` or above `highBpm` is an anomaly. */
  readonly lowBpm: number;
  readonly highBpm: number;
  readonly maxClockSkewSeconds: number;
  /** Undefined means that readings are kept for ever. */
  readonly retentionDays?: number;
}

/** @throws UsageError unless MIN <= LOW <= HIGH <= MAX */
export function limitsFrom(settings: Settings<typeof LIMIT_SETTINGS>, program: string): Limits {
  const ascending = ["HEART_RATE_MIN", "HEART_RATE_LOW", "HEART_RATE_HIGH", "HEART_RATE_MAX"] as const;
  const problems = ascending.flatMap((name, index) => {
    const next = ascending[index + 1];
    if (next === undefined || settings[name] <= settings[next]) return [];
    return [`${name}: is ${settings[name]}, expected at most ${next}, which is ${settings[next]}`];
  });
  if (problems.length > 0) throw settingsError(program, problems);
  return {
    minBpm: settings.HEART_RATE_MIN,
    maxBpm: settings.HEART_RATE_MAX,
    lowBpm: settings.HEART_RATE_LOW,
    highBpm: settings.HEART_RATE_HIGH,
    maxClockSkewSeconds: settings.MAX_CLOCK_SKEW_SECONDS,
  };
}

export function anomalyOf(heartRate: number, { lowBpm, highBpm }: Limits): Anomaly | null {
  return heartRate < lowBpm ? "low" : heartRate > highBpm ? "high" : null;
}

/** JSON Schema 2020-12, published as docs/heartbeat.schema.json. */
export function heartbeatJsonSchema(): Record<string, unknown> {
  const { $schema, ...schema } = z.toJSONSchema(heartbeatSchema, { io: "input" });
  const examples: readonly Heartbeat[] = [
    { customer_id: "c-0017", timestamp: "2026-07-14T09:30:00.123456Z", heart_rate: 72 },
    { customer_id: 42, timestamp: "2026-07-14 11:30+02:00", heart_rate: 181 },
  ];
  return { $schema, $id: "urn:heartbeat-pipeline:schema:heartbeat:1", ...schema, examples };
}
