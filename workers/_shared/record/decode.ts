/**
 * Folder `record`: what a valid record is, and the reading in its bytes. It knows neither Kafka nor a database, so that any worker
 * can judge records by it.
 *
 * From the bytes of one Kafka record to a reading, or to the reason why it is none. Data never throws.
 */
import { Buffer, isUtf8 } from "node:buffer";
import { printable } from "../output.ts";
import { anomalyOf, heartbeatSchema, parseWithoutSchema } from "./heartbeat.ts";
import type { Limits, Reading, RejectReason } from "./heartbeat.ts";
import { formatInstant } from "./instant.ts";
import { isWhole, mayLosePrecision, numberSource } from "./json_number.ts";

/** What one record turned out to be. The detail names the field and says why; PostgreSQL can store it. */
export type Decoded = { readonly kind: "reading"; readonly reading: Reading } | Reject;
type Reject = { readonly kind: "reject"; readonly reason: RejectReason; readonly detail: string };
type Field = keyof typeof heartbeatSchema.shape;
type Members = Readonly<Record<string, unknown>>;

/** Longer quotations from a record are cut; its exact bytes are stored beside the detail. */
const QUOTED_CHARS = 60;
/** A reading takes a hundred bytes, and a text of brackets takes thirty times its bytes once it is parsed. */
const MOST_JSON_BYTES = 2 * 1024 * 1024;
const DAY_MS = 86_400_000;
const EXPECTED_OBJECT = "one JSON object with customer_id, timestamp and heart_rate";

/**
 * @param now milliseconds since the Unix epoch
 * @param secondClock another clock: a reading is rejected for its time only when both agree on it
 * @param floor readings before it were dropped; it is rejected whatever the clocks say
 * @returns a function from a record's value, null for a tombstone, to the reading or the first reason why it is none
 */
export function createDecoder(
  limits: Limits,
  now: () => number,
  secondClock: () => number = now,
  floor: () => bigint | undefined = () => undefined,
): (value: Uint8Array | null) => Decoded {
  const maxSkewMs = limits.maxClockSkewSeconds * 1_000;
  return (value) => {
    if (value === null) return noRecord("tombstone", "is null");
    if (value.length === 0) return noRecord("empty_value", "is empty");
    if (value.length > MOST_JSON_BYTES) {
      return noRecord("invalid_json", `has ${value.length} bytes`, ` in at most ${MOST_JSON_BYTES}`);
    }
    const text = decodeUtf8(value);
    if (text === undefined) {
      return reject("invalid_utf8", "value: is not valid UTF-8, expected JSON in UTF-8");
    }
    const json = parseJson(text);
    if (json instanceof SyntaxError) {
      return noRecord("invalid_json", `is no JSON (${printable(json.message)})`);
    }
    if (!isObject(json)) return noRecord("not_an_object", `is ${describe(json)}`);
    const members = exactly(json, text, value);
    let parsed = parseWithoutSchema(members);
    if (parsed === undefined) {
      const result = heartbeatSchema.safeParse(members);
      if (!result.success) return rejectFields(result.error.issues, json, text, limits);
      parsed = result.data;
    }
    const { customer_id: customerId, timestamp: ts, heart_rate: heartRate } = parsed;
    if (!(heartRate >= limits.minBpm && heartRate <= limits.maxBpm)) return outOfRange(heartRate, limits);
    // The secondClock is heard only where a reading would be rejected: nearly none is.
    if (ts > micros(now() + maxSkewMs)) {
      const latestMs = Math.max(now(), secondClock()) + maxSkewMs;
      if (ts > micros(latestMs)) {
        const ahead = `(${limits.maxClockSkewSeconds} s ahead of our clock)`;
        return rejectTime(
          "timestamp_in_future",
          json,
          `at most ${new Date(latestMs).toISOString()} ${ahead}`,
        );
      }
    }
    const dropped = floor();
    if (dropped !== undefined && ts < dropped) return rejectTime("too_old", json, beforeFloor(ts, dropped));
    const keptMs = (limits.retentionDays ?? Infinity) * DAY_MS;
    if (keptMs < Infinity && ts < micros(now() - keptMs) && ts < micros(secondClock() - keptMs)) {
      return rejectTime("too_old", json, `at most ${limits.retentionDays} days ago (RETENTION_DAYS)`);
    }
    return { kind: "reading", reading: { customerId, ts, heartRate, anomaly: anomalyOf(heartRate, limits) } };
  };
}

/**
 * Undefined for invalid UTF-8; skips a byte order mark, as RFC 8259 lets a reader do. A Buffer decodes four times as fast
 * as a TextDecoder but replaces what is invalid: only a text with a replacement character needs the second look.
 */
function decodeUtf8(bytes: Uint8Array): string | undefined {
  const isBuffer = Buffer.isBuffer(bytes);
  const buffer = isBuffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString();
  if (text.includes("\uFFFD") && !isUtf8(buffer)) return undefined;
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return error instanceof SyntaxError ? error : new SyntaxError("too deep or too long");
  }
}

function micros(ms: number): bigint {
  return BigInt(Math.floor(ms)) * 1_000n;
}

function isObject(json: unknown): json is Members {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

/** Puts NaN where JSON.parse rounded a fraction to a whole number: it was none, and the schema shall see that. */
function exactly(json: Members, text: string, bytes: Uint8Array): Members {
  const long = mayLosePrecision(bytes);
  let exact = json;
  for (const name of ["customer_id", "heart_rate"] as const) {
    const value = json[name];
    // A fraction too small for a double becomes 0 however short it is written.
    if (typeof value !== "number" || !(long || value === 0)) continue;
    const wrong = Number.isInteger(value) && !isWhole(numberSource(text, name) ?? "");
    if (wrong) exact = { ...exact, [name]: NaN };
  }
  return exact;
}

function reject(reason: RejectReason, detail: string): Reject {
  return { kind: "reject", reason, detail };
}

function noRecord(reason: RejectReason, is: string, moreExpected = ""): Reject {
  return reject(reason, `value: ${is}, expected ${EXPECTED_OBJECT}${moreExpected}`);
}

function rejectTime(reason: RejectReason, { timestamp }: Members, expected: string): Reject {
  return reject(reason, `timestamp: is ${describe(timestamp)}, expected ${expected}`);
}

/** The reason is that of the first wrong field in the order of the schema; the detail tells them all. */
function rejectFields(
  issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[],
  json: Members,
  text: string,
  limits: Limits,
): Reject {
  const rejects = issues.map(({ path, message }) => {
    const field = path[0] as Field;
    const missing = !Object.hasOwn(json, field);
    if (missing) return reject(`missing_${field}`, `${field}: is missing, expected ${message}`);
    const value = json[field];
    const source = typeof value === "number" ? numberSource(text, field) : undefined;
    const is = source === undefined ? describe(value) : clip(source);
    // Too large for the schema's integers, but a whole number of beats all the same.
    if (field === "heart_rate" && source !== undefined && isWhole(source)) return outOfRange(is, limits);
    return reject(`invalid_${field}`, `${field}: is ${is}, expected ${message}`);
  });
  const reason = rejects[0]?.reason ?? "not_an_object";
  return reject(reason, rejects.map(({ detail }) => detail).join("; "));
}

function outOfRange(is: number | string, { minBpm, maxBpm }: Limits): Reject {
  const expected = `${minBpm} to ${maxBpm} (beats per minute)`;
  return reject("heart_rate_out_of_range", `heart_rate: is ${is}, expected ${expected}`);
}

function beforeFloor(ts: bigint, floor: bigint): string {
  return `at least ${formatInstant(floor)}: older readings were dropped; ` +
    "to load them again, raise RETENTION_DAYS and run as the database's owner: " +
    `select public.reopen_heartbeats('${formatInstant(ts).slice(0, 10)}T00:00:00Z')`;
}

/** A JSON value for a message: texts quoted and cut, containers by their kind. */
function describe(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value !== "string") return String(value);
  return `"${printable(clip(value).replace(/["\\]/g, "\\$&"))}"`;
}

function clip(text: string): string {
  if (text.length <= QUOTED_CHARS) return text;
  // The cut may leave half a surrogate pair, which printable() makes visible; this keeps the whole one where it can.
  const end = /[\uD800-\uDBFF]$/.test(text.slice(0, QUOTED_CHARS)) ? QUOTED_CHARS - 1 : QUOTED_CHARS;
  return `${text.slice(0, end)}...`;
}
