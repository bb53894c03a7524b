/**
 * The wire schema of a heartbeat, the reasons for a reject and the thresholds. `fast_path.ts` and
 * `parseWithoutSchema` read most records without the schema; tests hold their answers to it.
 */
import { z } from "zod";
import { integer, type Settings, settingsError } from "../env.ts";
import { INSTANT_PATTERN, parseInstant } from "./instant.ts";

/** 1 to 128 code points; NUL and unpaired surrogates are what a PostgreSQL text cannot hold. */
// deno-lint-ignore no-control-regex
const CUSTOMER_ID = /^[^\u0000\uD800-\uDFFF]{1,128}$/u;
export const CUSTOMER_ID_EXPECTED =
  "1 to 128 characters without NUL and unpaired surrogates, or an integer up to 2^53-1";
const TIMESTAMP_EXPECTED =
  "an existing date and time in ISO 8601, such as 2026-07-14T09:30:00.123456Z or 2026-07-14T11:30+02:00";

/**
 * One record's value. Parsing it gives the customer as text, microseconds since the Unix epoch and beats per minute.
 * JSON has one kind of number (RFC 8259, section 6), so that an integer is a number whose value is whole, as in JSON
 * Schema: 72, 72.0 and 7.2e1 are the same integer, and -0 is 0.
 */
export const heartbeatSchema = z.object({
  customer_id: z.union([
    z.string().regex(CUSTOMER_ID, { error: CUSTOMER_ID_EXPECTED }),
    z.int({ error: CUSTOMER_ID_EXPECTED }).transform(String),
  ], { error: CUSTOMER_ID_EXPECTED }).meta({
    description: "Who wears the sensor. An integer is the same customer as its decimal text.",
  }),
  timestamp: z.string({ error: TIMESTAMP_EXPECTED }).transform((text, context) => {
    const instant = parseInstant(text);
    if (instant !== undefined) return instant;
    context.addIssue({ code: "custom", message: TIMESTAMP_EXPECTED });
    return z.NEVER;
  }).meta({
    description:
      "When the heart beat, in ISO 8601 or RFC 3339, to the microsecond; further decimals are cut. " +
      "UTC when there is no offset. The date must exist, in the years 0001 to 9999 as written and in UTC; " +
      "second 60 only at 23:59:60 UTC, and then it is the next day's first second. " +
      "The consumer also rejects what lies further in the future than MAX_CLOCK_SKEW_SECONDS.",
    // A transform is code; its shape is said by the pattern, which a test holds to the code.
    pattern: INSTANT_PATTERN.source,
  }),
  heart_rate: z.int({ error: "an integer (beats per minute)" }).meta({
    description: "Beats per minute. The consumer rejects what lies outside HEART_RATE_MIN to HEART_RATE_MAX.",
  }),
}).meta({
  title: "Heartbeat",
  description:
    "One heart-rate reading of one customer: the JSON value of a record in the topic heartbeats. " +
    "Extra members are ignored.",
});

/** What a producer writes. */
export type Heartbeat = z.input<typeof heartbeatSchema>;

const isInteger = (value: unknown): value is number => Number.isSafeInteger(value);

export function isCustomerId(id: unknown): id is string | number {
  return typeof id === "string" ? CUSTOMER_ID.test(id) : isInteger(id);
}

/**
 * Parses a record that has nothing wrong for less than the schema costs: those with a member more, or in another order,
 * all come here. A test holds its answers to the schema's.
 *
 * @returns undefined when the schema itself has to be asked
 */
export function parseWithoutSchema(
  { customer_id, timestamp, heart_rate }: Readonly<Record<string, unknown>>,
): z.output<typeof heartbeatSchema> | undefined {
  if (!isCustomerId(customer_id) || !isInteger(heart_rate) || typeof timestamp !== "string") return undefined;
  const instant = parseInstant(timestamp);
  return instant === undefined
    ? undefined
    : { customer_id: `${customer_id}`, timestamp: instant, heart_rate };
}

/** One valid reading, as the pipeline carries it. */
export interface Reading {
  readonly customerId: string;
  /** Microseconds since the Unix epoch. */
  readonly ts: bigint;
  /** Beats per minute. */
  readonly heartRate: number;
  readonly anomaly: Anomaly | null;
}

export type Anomaly = "low" | "high";

/**
 * Why a record was not stored. A closed list: metrics carry it as a label. The names are stored and stay. `decode.ts` gives
 * all but the last two, the consumer's `placement.ts` those. Append a new one (Grafana's colours go by place), give it
 * a scenario (`workers/scenarios/catalogue/`), and run `deno task dashboards`.
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
  // Older than RETENTION_DAYS, or of a day that was dropped: its minute already counts it.
  "too_old",
  "missing_heart_rate",
  "invalid_heart_rate",
  "heart_rate_out_of_range",
  // The same customer and instant is stored with another heart rate; the first one stays.
  "conflicting_duplicate",
  // PostgreSQL refused this row for its own values, as an operator's CHECK does.
  "database_rejected",
] as const;

export type RejectReason = typeof REJECT_REASONS[number];

const beatsPerMinute = (initial: number) =>
  integer({ min: 1, max: 1_000, unit: "beats per minute", default: initial });
/** Outside 30 to 220 is a sensor's error and no heart; below 45 and above 180 is rare enough that someone should look. */
export const LIMIT_SETTINGS = {
  HEART_RATE_MIN: beatsPerMinute(30),
  HEART_RATE_MAX: beatsPerMinute(220),
  HEART_RATE_LOW: beatsPerMinute(45),
  HEART_RATE_HIGH: beatsPerMinute(180),
  MAX_CLOCK_SKEW_SECONDS: integer({ min: 0, max: 31_536_000, unit: "seconds", default: 300 }),
};

export interface Limits {
  /** The lowest and the highest valid heart rate, both included. */
  readonly minBpm: number;
  readonly maxBpm: number;
  /** Below the one and above the other a valid reading is an anomaly. */
  readonly lowBpm: number;
  readonly highBpm: number;
  /** How far ahead of our clock a timestamp may be. */
  readonly maxClockSkewSeconds: number;
  /** How far back a timestamp may be; undefined means however far. */
  readonly retentionDays?: number;
}

/** @throws UsageError unless MIN <= LOW <= HIGH <= MAX, with a line for each pair in the wrong order */
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

/** What a valid heart rate is flagged as; the thresholds themselves are no anomalies. */
export function anomalyOf(heartRate: number, { lowBpm, highBpm }: Limits): Anomaly | null {
  return heartRate < lowBpm ? "low" : heartRate > highBpm ? "high" : null;
}

/** The wire schema as JSON Schema 2020-12, as published in docs/heartbeat.schema.json. */
export function heartbeatJsonSchema(): Record<string, unknown> {
  const { $schema, ...schema } = z.toJSONSchema(heartbeatSchema, { io: "input" });
  const examples: readonly Heartbeat[] = [
    { customer_id: "c-0017", timestamp: "2026-07-14T09:30:00.123456Z", heart_rate: 72 },
    { customer_id: 42, timestamp: "2026-07-14 11:30+02:00", heart_rate: 181 },
  ];
  return { $schema, $id: "urn:heartbeat-pipeline:schema:heartbeat:1", ...schema, examples };
}
