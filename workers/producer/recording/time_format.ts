import { isTimestamp, parseInstant } from "../../_shared/record/instant.ts";

export interface TimeFormat {
  readonly expected: string;
  /**
   * Cuts decimals after the microsecond, as the consumer does.
   *
   * @param zone a result of `parseZone`, for times without an offset
   * @returns microseconds since the Unix epoch; undefined if no such time exists in the years 0001 to 9999 (UTC)
   */
  readonly parse: (text: string, zone: string) => bigint | undefined;
}

/** A token stands before its own prefixes (MM before M), because the first match wins. */
const TOKENS: Readonly<Record<string, readonly [field: string, pattern: string]>> = {
  YYYY: ["year", "\\d{4}"],
  MM: ["month", "\\d{2}"],
  M: ["month", "\\d{1,2}"],
  DD: ["day", "\\d{2}"],
  D: ["day", "\\d{1,2}"],
  HH: ["hour", "\\d{2}"],
  H: ["hour", "\\d{1,2}"],
  hh: ["hour", "0[1-9]|1[0-2]"],
  h: ["hour", "0?[1-9]|1[0-2]"],
  mm: ["minute", "\\d{2}"],
  m: ["minute", "\\d{1,2}"],
  ss: ["second", "[0-5]\\d"],
  s: ["second", "[0-5]?\\d"],
  S: ["fraction", "\\d{1,9}"],
  A: ["half", "[AaPp][Mm]"],
  Z: ["offset", "[Zz]|[+-]\\d{2}:?\\d{2}"],
};
const TOKEN = new RegExp(Object.keys(TOKENS).join("|"), "g");
const OFFSET = /([Zz]|[+-]\d{2}(:?\d{2})?)$/;

const NAMED: Readonly<Record<string, TimeFormat>> = {
  iso: {
    expected: "an ISO 8601 time such as 2026-01-31T07:54:05Z",
    // Skips the date, whose hyphens look like an offset.
    parse: (text, zone) => parseInstant(OFFSET.test(text.slice("YYYY-MM-DD".length)) ? text : text + zone),
  },
  epoch_s: { expected: "seconds since 1970 such as 1459497240", parse: (text) => parseEpoch(text, 6) },
  epoch_ms: {
    expected: "milliseconds since 1970 such as 1459497240000",
    parse: (text) => parseEpoch(text, 3),
  },
};

/**
 * @param text a name, or a pattern such as `M/D/YYYY h:mm:ss A`; characters that are not in TOKENS stand for themselves
 * @returns undefined if the pattern lacks year, month or day, has a part twice, or has only one of `h` and `A`
 */
export function timeFormat(text: string): TimeFormat | undefined {
  if (Object.hasOwn(NAMED, text)) return NAMED[text];
  const fields: string[] = [];
  const source = text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&").replace(TOKEN, (token) => {
    const [field = "", pattern] = TOKENS[token] ?? [];
    fields.push(field);
    return `(?<${field}>${pattern})`;
  });
  const seen = new Set(fields);
  const hasDay = ["year", "month", "day"].every((field) => seen.has(field));
  // A 12-hour clock (`h`) needs AM or PM (`A`), and a 24-hour clock must not have it.
  if (seen.size < fields.length || !hasDay || /h/.test(text) !== seen.has("half")) return undefined;
  const pattern = new RegExp(`^${source}$`);
  const parse = (time: string, zone: string) => {
    const found = pattern.exec(time)?.groups;
    return found && parseInstant(isoOf(found, zone));
  };
  return { expected: `a time like ${text}`, parse };
}

/** @returns the zone as the suffix of an ISO 8601 time ("Z" or "+02:00"); undefined if it is not UTC or an offset */
export function parseZone(text: string): string | undefined {
  if (/^(utc|z)$/i.test(text)) return "Z";
  return /^[+-]((0\d|1[0-7]):?[0-5]\d|18:?00)$/.test(text) ? text : undefined;
}

/**
 * Reads the digits as text, because a double cannot hold the microseconds of every year.
 *
 * @param microDigits 6 for seconds, 3 for milliseconds
 */
function parseEpoch(text: string, microDigits: number): bigint | undefined {
  const match = /^(-?)(\d{1,15})(?:\.(\d{1,9}))?$/.exec(text);
  if (match === null) return undefined;
  const [, sign = "", whole = "", fraction = ""] = match;
  const micros = BigInt(sign + whole + fraction.slice(0, microDigits).padEnd(microDigits, "0"));
  return isTimestamp(micros) ? micros : undefined;
}

// Converts the parts to ISO 8601, so that only `parseInstant` decides which dates exist.
function isoOf(found: Readonly<Record<string, string>>, zone: string): string {
  const { year, month = "", day = "", hour = "0", minute = "0", second = "0", half } = found;
  const hours = half === undefined ? hour : String(Number(hour) % 12 + (/p/i.test(half) ? 12 : 0));
  const two = (digits: string) => digits.padStart(2, "0");
  const clock = `${two(hours)}:${two(minute)}:${two(second)}.${found["fraction"] ?? "0"}`;
  return `${year}-${two(month)}-${two(day)}T${clock}${found["offset"] ?? zone}`;
}
