/** Times as recordings write them: ISO 8601, numbers of seconds or milliseconds, or a pattern. */
import { isTimestamp, parseInstant } from "../../_shared/record/instant.ts";

export interface TimeFormat {
  /** Completes "expected ...". */
  readonly expected: string;
  /**
   * Parses exactly; decimals after the microsecond are cut, as the consumer does.
   *
   * @param zone of `parseZone`, for times that name no offset of their own
   * @returns microseconds since the Unix epoch; undefined for what is no such time of the years 0001 to 9999 of UTC
   */
  readonly parse: (text: string, zone: string) => bigint | undefined;
}

/** What a token stands for. Longer tokens stand before those that they begin with. */
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
    parse: (text, zone) => parseInstant(OFFSET.test(text.slice("YYYY-MM-DD".length)) ? text : text + zone),
  },
  epoch_s: { expected: "seconds since 1970 such as 1459497240", parse: (text) => readNumber(text, 6) },
  epoch_ms: {
    expected: "milliseconds since 1970 such as 1459497240000",
    parse: (text) => readNumber(text, 3),
  },
};

/**
 * @param text a name, or a pattern of the tokens, in which everything else stands for itself: `M/D/YYYY h:mm:ss A`
 * @returns undefined when the pattern does not say the day, or something twice
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
  // Twelve hours without AM or PM would be ambiguous, and AM or PM beside twenty-four contradictory.
  if (seen.size < fields.length || !hasDay || /h/.test(text) !== seen.has("half")) return undefined;
  const pattern = new RegExp(`^${source}$`);
  const parse = (time: string, zone: string) => {
    const found = pattern.exec(time)?.groups;
    return found && parseInstant(isoOf(found, zone));
  };
  return { expected: `a time like ${text}`, parse };
}

/** In which zone times without an offset are: as an instant ends with it, or undefined when the text names none. */
export function parseZone(text: string): string | undefined {
  if (/^(utc|z)$/i.test(text)) return "Z";
  return /^[+-]((0\d|1[0-7]):?[0-5]\d|18:?00)$/.test(text) ? text : undefined;
}

/** By its digits, since a double does not hold the microseconds of each. @param places 6 for seconds, 3 for milliseconds */
function readNumber(text: string, places: number): bigint | undefined {
  const match = /^(-?)(\d{1,15})(?:\.(\d{1,9}))?$/.exec(text);
  if (match === null) return undefined;
  const [, sign = "", whole = "", fraction = ""] = match;
  const micros = BigInt(sign + whole + fraction.slice(0, places).padEnd(places, "0"));
  return isTimestamp(micros) ? micros : undefined;
}

/** What a pattern found, as the time that a consumer takes: which dates exist is judged in one place. */
function isoOf(found: Readonly<Record<string, string>>, zone: string): string {
  const { year, month = "", day = "", hour = "0", minute = "0", second = "0", half } = found;
  const hours = half === undefined ? hour : String(Number(hour) % 12 + (/p/i.test(half) ? 12 : 0));
  const two = (digits: string) => digits.padStart(2, "0");
  const clock = `${two(hours)}:${two(minute)}:${two(second)}.${found["fraction"] ?? "0"}`;
  return `${year}-${two(month)}-${two(day)}T${clock}${found["offset"] ?? zone}`;
}
