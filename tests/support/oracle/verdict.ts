import type { Limits, RejectReason } from "../../../workers/_shared/record/heartbeat.ts";
import { codePointsOf, type Json, readJson } from "./strict_json.ts";

/**
 * The oracle: chapter 1 of docs/pipeline_spec.md, implemented a second time without the consumer's code. It checks the shapes
 * of customer_id, timestamp and heart_rate first, then the range of the heart rate, then the time.
 */
export type Verdict =
  | {
    readonly kind: "reading";
    readonly customerId: string;
    /** Microseconds since the Unix epoch. */
    readonly ts: bigint;
    readonly heartRate: number;
    readonly anomaly: "low" | "high" | null;
  }
  | {
    readonly kind: "reject";
    readonly reason: RejectReason;
    /** What the detail must name: "value", or the wrong fields in order. */
    readonly about: readonly string[];
  };

const BYTE_ORDER_MARK = 0xfeff;
const LARGEST_EXACT = 2n ** 53n - 1n;

/** @param nowMs both clocks, milliseconds since the Unix epoch */
export function verdictOf(value: Uint8Array | null, limits: Limits, nowMs: number): Verdict {
  if (value === null) return refuse("tombstone");
  if (value.length === 0) return refuse("empty_value");
  const codes = codePointsOf(value);
  if (codes === undefined) return refuse("invalid_utf8");
  const json = readJson(codes[0] === BYTE_ORDER_MARK ? codes.slice(1) : codes);
  if (json === undefined) return refuse("invalid_json");
  if (json.kind !== "object") return refuse("not_an_object");

  const customer = customerOf(json.members.get("customer_id"));
  const instant = instantOf(json.members.get("timestamp"));
  const rate = rateOf(json.members.get("heart_rate"));
  const fields = [["customer_id", customer], ["timestamp", instant], ["heart_rate", rate]] as const;
  const wrong = fields.filter(([, found]) => found === "missing" || found === "invalid");
  const [first] = wrong;
  if (first !== undefined) {
    // The decoder also names a heart rate beyond 2^53-1. If nothing else is wrong, such a heart rate is out of range.
    const about = fields.filter(([, found]) => ["missing", "invalid", "beyond"].includes(String(found)));
    return refuse(`${first[1]}_${first[0]}` as RejectReason, about.map(([name]) => name));
  }
  if (typeof customer !== "object" || typeof instant !== "bigint") {
    throw new TypeError("the fields were checked above");
  }
  if (typeof rate !== "bigint" || rate < BigInt(limits.minBpm) || rate > BigInt(limits.maxBpm)) {
    return refuse("heart_rate_out_of_range", ["heart_rate"]);
  }
  const now = BigInt(Math.floor(nowMs)) * 1_000n;
  if (instant > now + BigInt(limits.maxClockSkewSeconds) * 1_000_000n) {
    return refuse("timestamp_in_future", ["timestamp"]);
  }
  if (limits.retentionDays !== undefined && instant < now - BigInt(limits.retentionDays) * DAY_MICROS) {
    return refuse("too_old", ["timestamp"]);
  }
  const heartRate = Number(rate);
  const anomaly = heartRate < limits.lowBpm ? "low" : heartRate > limits.highBpm ? "high" : null;
  return { kind: "reading", customerId: customer.text, ts: instant, heartRate, anomaly };
}

const DAY_MICROS = 86_400_000_000n;

function refuse(reason: RejectReason, about: readonly string[] = ["value"]): Verdict {
  return { kind: "reject", reason, about };
}

function customerOf(json: Json | undefined): { readonly text: string } | "missing" | "invalid" {
  if (json === undefined) return "missing";
  if (json.kind === "number") {
    const whole = wholeNumber(json.source);
    return typeof whole === "bigint" ? { text: String(whole) } : "invalid";
  }
  if (json.kind !== "text" || !json.text.isWellFormed() || json.text.includes("\0")) return "invalid";
  const length = [...json.text].length;
  return length >= 1 && length <= 128 ? { text: json.text } : "invalid";
}

function rateOf(json: Json | undefined): bigint | "beyond" | "missing" | "invalid" {
  if (json === undefined) return "missing";
  if (json.kind !== "number") return "invalid";
  return wholeNumber(json.source) ?? "invalid";
}

/** @returns the exact value, "beyond" if it is outside of plus or minus 2^53-1, undefined if it is not whole */
export function wholeNumber(source: string): bigint | "beyond" | undefined {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] =
    /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/.exec(source) ?? [];
  const digits = (whole + fraction).replace(/^0+/, "");
  if (digits === "") return 0n;
  const significant = digits.replace(/0+$/, "");
  // The value is `significant` * 10^power.
  const power = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - significant.length);
  if (power < 0n) return undefined;
  if (BigInt(significant.length) + power > 16n) return "beyond";
  const value = BigInt(significant) * 10n ** power;
  if (value > LARGEST_EXACT) return "beyond";
  return sign === "-" ? -value : value;
}

const TIMESTAMP =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?(?:[Zz]|([+-])([0-9]{2})(?::?([0-9]{2}))?)?$/;
const EPOCH = Temporal.PlainDate.from("1970-01-01");
const FIRST = Temporal.Instant.from("0001-01-01T00:00:00Z").epochNanoseconds / 1_000n;
const END = Temporal.Instant.from("+010000-01-01T00:00:00Z").epochNanoseconds / 1_000n;

function instantOf(json: Json | undefined): bigint | "missing" | "invalid" {
  if (json === undefined) return "missing";
  const parts = json.kind === "text" ? TIMESTAMP.exec(json.text) : null;
  if (parts === null) return "invalid";
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.slice(1, 7).map((part) =>
    Number(part ?? 0)
  );
  const [, , , , , , , fraction = "", sign = "+", offsetHour = "0", offsetMinute = "0"] = parts;
  if (hour > 23 || minute > 59 || second > 60 || Number(offsetHour) > 23 || Number(offsetMinute) > 59) {
    return "invalid";
  }
  const days = daysFromEpoch(year, month, day);
  if (days === undefined || year < 1) return "invalid";
  const east = (sign === "-" ? -60 : 60) * (Number(offsetHour) * 60 + Number(offsetMinute));
  const seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - east;
  // A leap second is the last second of a UTC day.
  if (second === 60 && seconds % 86_400 !== 0) return "invalid";
  const instant = BigInt(seconds) * 1_000_000n + BigInt(fraction.slice(0, 6).padEnd(6, "0"));
  return instant >= FIRST && instant < END ? instant : "invalid";
}

function daysFromEpoch(year: number, month: number, day: number): number | undefined {
  try {
    const date = Temporal.PlainDate.from({ year, month, day }, { overflow: "reject" });
    return EPOCH.until(date, { largestUnit: "days" }).days;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
