/** Folder `record`: decodes and validates records. It knows neither Kafka nor a database, so that any worker can use it. */
import { Buffer, isUtf8 } from "node:buffer";
import { printable } from "../output.ts";
import { anomalyOf, heartbeatSchema, parseWithoutSchema } from "./heartbeat.ts";
import type { Limits, Reading, RejectReason } from "./heartbeat.ts";
import { formatInstant } from "./instant.ts";
import { isWhole, mayLosePrecision, numberSource } from "./json_number.ts";

/** The detail is one line, safe to print and to store in PostgreSQL. */
export type Decoded = { readonly kind: "reading"; readonly reading: Reading } | Reject;
type Reject = { readonly kind: "reject"; readonly reason: RejectReason; readonly detail: string };
type Field = keyof typeof heartbeatSchema.shape;
type Members = Readonly<Record<string, unknown>>;

/** A longer quotation is cut: the reject has the exact bytes. */
const QUOTED_CHARS = 60;
/** A larger value is not parsed, because nested brackets take 30 times their size in memory. A reading has about 100 bytes. */
const MAX_JSON_BYTES = 2 * 1024 * 1024;
const DAY_MS = 86_400_000;
const EXPECTED_OBJECT = "one JSON object with customer_id, timestamp and heart_rate";

/**
 * @param now milliseconds since the Unix epoch
 * @param secondClock a reading is rejected for its time only if the time is wrong by both clocks
 * @param floor a reading before the floor is always rejected, because retention has dropped its day
 * @returns a decoder of a record's value, which never throws; with several problems, the first one is the reason
 */
export function createDecoder(
  limits: Limits,
  now: () => number,
  secondClock: () => number = now,
  floor: () => bigint | undefined = () => undefined,
): (value: Uint8Array | null) => Decoded {
  const maxSkewMs = limits.maxClockSkewSeconds * 1_000;
  return (value) => {
    if (value === null) return rejectValue("tombstone", "is null");
    if (value.length === 0) return rejectValue("empty_value", "is empty");
    if (value.length > MAX_JSON_BYTES) {
      return rejectValue("invalid_json", `has ${value.length} bytes`, ` in at most ${MAX_JSON_BYTES}`);
    }
    const text = decodeUtf8(value);
    if (text === undefined) {
      return reject("invalid_utf8", "value: is not valid UTF-8, expected JSON in UTF-8");
    }
    const json = parseJson(text);
    if (json instanceof SyntaxError) {
      return rejectValue("invalid_json", `is no JSON (${printable(json.message)})`);
    }
    if (!isObject(json)) return rejectValue("not_an_object", `is ${describe(json)}`);
    const members = markRoundedNumbers(json, text, value);
    let parsed = parseWithoutSchema(members);
    if (parsed === undefined) {
      const result = heartbeatSchema.safeParse(members);
      if (!result.success) return rejectFields(result.error.issues, json, text, limits);
      parsed = result.data;
    }
    const { customer_id: customerId, timestamp: ts, heart_rate: heartRate } = parsed;
    if (!(heartRate >= limits.minBpm && heartRate <= limits.maxBpm)) return outOfRange(heartRate, limits);
    if (ts > micros(now() + maxSkewMs)) {
      // The second clock is read only if the first one would reject the reading, which is rare.
      const latestMs = Math.max(now(), secondClock()) + maxSkewMs;
      if (ts > micros(latestMs)) {
        const ahead = `(${limits.maxClockSkewSeconds} s ahead of the consumer's clock)`;
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
 * A Buffer decodes four times as fast as a TextDecoder, but replaces invalid bytes. So a text with a replacement character is
 * checked. A byte order mark is skipped, as RFC 8259 permits.
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

/** Puts NaN where JSON.parse rounded a fraction to an integer, so that the schema rejects it. */
function markRoundedNumbers(json: Members, text: string, bytes: Uint8Array): Members {
  const maybeRounded = mayLosePrecision(bytes);
  let exact = json;
  for (const name of ["customer_id", "heart_rate"] as const) {
    const value = json[name];
    // A fraction too small for a double becomes 0, however short its text.
    if (typeof value !== "number" || !(maybeRounded || value === 0)) continue;
    const isRounded = Number.isInteger(value) && !isWhole(numberSource(text, name) ?? "");
    if (isRounded) exact = { ...exact, [name]: NaN };
  }
  return exact;
}

function reject(reason: RejectReason, detail: string): Reject {
  return { kind: "reject", reason, detail };
}

function rejectValue(reason: RejectReason, actual: string, moreExpected = ""): Reject {
  return reject(reason, `value: ${actual}, expected ${EXPECTED_OBJECT}${moreExpected}`);
}

function rejectTime(reason: RejectReason, { timestamp }: Members, expected: string): Reject {
  return reject(reason, `timestamp: is ${describe(timestamp)}, expected ${expected}`);
}

/** The reason belongs to the first wrong field in the schema's order. The detail describes all wrong fields. */
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
    const actual = source === undefined ? describe(value) : clip(source);
    // The schema refuses integers beyond 2^53. They are out of range, not malformed.
    if (field === "heart_rate" && source !== undefined && isWhole(source)) return outOfRange(actual, limits);
    return reject(`invalid_${field}`, `${field}: is ${actual}, expected ${message}`);
  });
  const reason = rejects[0]?.reason ?? "not_an_object";
  return reject(reason, rejects.map(({ detail }) => detail).join("; "));
}

function outOfRange(actual: number | string, { minBpm, maxBpm }: Limits): Reject {
  const expected = `${minBpm} to ${maxBpm} (beats per minute)`;
  return reject("heart_rate_out_of_range", `heart_rate: is ${actual}, expected ${expected}`);
}

function beforeFloor(ts: bigint, floor: bigint): string {
  return `at least ${formatInstant(floor)}: older readings were dropped; ` +
    "to load them again, raise RETENTION_DAYS and run as the database's owner: " +
    `select public.reopen_heartbeats('${formatInstant(ts).slice(0, 10)}T00:00:00Z')`;
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value !== "string") return String(value);
  return `"${printable(clip(value).replace(/["\\]/g, "\\$&"))}"`;
}

function clip(text: string): string {
  if (text.length <= QUOTED_CHARS) return text;
  // Does not cut a surrogate pair in half: printable() would escape the half.
  const end = /[\uD800-\uDBFF]$/.test(text.slice(0, QUOTED_CHARS)) ? QUOTED_CHARS - 1 : QUOTED_CHARS;
  return `${text.slice(0, end)}...`;
}
