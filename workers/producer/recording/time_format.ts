/** Times as recordings write them: ISO 8601, numbers of seconds or milliseconds, or a pattern. */
import { isTimestamp, parseInstant } from "../../_shared/record/instant.ts";

export interface TimeFormat {
  /** Completes "expected ...". */
  readonly expected: string;
  /**
   * Parses exactly; decimals after the microsecond are cut, as the consumer does.
   *
   * @returns microseconds since the Unix epoch, or undefined when the text is no such time, or not in the years 0001 to
   * 9999 of UTC, which the wire can say
   */
  readonly parse: (text: string) => bigint | undefined;
}

interface Part {
  readonly pattern: string;
  readonly field?: keyof Fields;
}

interface Fields {
  year: string;
  month: string;
  day: string;
  hour: string;
  minute: string;
  second: string;
  fraction: string;
  half: string;
  offset: string;
}

/** Longer tokens stand before those that they begin with. */
const TOKENS: Readonly<Record<string, Part>> = {
  YYYY: { pattern: "\\d{4}", field: "year" },
  MM: { pattern: "\\d{2}", field: "month" },
  M: { pattern: "\\d{1,2}", field: "month" },
  DD: { pattern: "\\d{2}", field: "day" },
  D: { pattern: "\\d{1,2}", field: "day" },
  HH: { pattern: "\\d{2}", field: "hour" },
  H: { pattern: "\\d{1,2}", field: "hour" },
  hh: { pattern: "\\d{2}", field: "hour" },
  h: { pattern: "\\d{1,2}", field: "hour" },
  mm: { pattern: "\\d{2}", field: "minute" },
  m: { pattern: "\\d{1,2}", field: "minute" },
  ss: { pattern: "\\d{2}", field: "second" },
  s: { pattern: "\\d{1,2}", field: "second" },
  S: { pattern: "\\d{1,9}", field: "fraction" },
  A: { pattern: "[AaPp][Mm]", field: "half" },
  Z: { pattern: "[Zz]|[+-]\\d{2}:?\\d{2}", field: "offset" },
};
const TOKEN = /YYYY|MM|M|DD|D|HH|H|hh|h|mm|m|ss|s|S|A|Z/g;

/**
 * Reads a format's name or pattern.
 *
 * @param text `iso`, `epoch_s`, `epoch_ms`, or a pattern of YYYY M MM D DD H HH h hh m mm s ss S (fraction) A (AM or
 * PM) Z (offset), in which everything else stands for itself: `M/D/YYYY h:mm:ss A`
 * @param offsetMinutes east of Greenwich, for times that name no offset of their own
 * @returns undefined when the pattern does not say the day
 */
export function timeFormat(text: string, offsetMinutes: number): TimeFormat | undefined {
  const format = anyTimeFormat(text, offsetMinutes);
  return format && {
    expected: format.expected,
    parse: (time) => {
      const micros = format.parse(time);
      return micros !== undefined && isTimestamp(micros) ? micros : undefined;
    },
  };
}

function anyTimeFormat(text: string, offsetMinutes: number): TimeFormat | undefined {
  if (text === "iso") {
    return {
      expected: "an ISO 8601 time such as 2026-01-31T07:54:05Z",
      parse: (time) => readIso(time, offsetMinutes),
    };
  }
  if (text === "epoch_s") {
    return { expected: "seconds since 1970 such as 1459497240", parse: (time) => readNumber(time, 6) };
  }
  if (text === "epoch_ms") {
    return {
      expected: "milliseconds since 1970 such as 1459497240000",
      parse: (time) => readNumber(time, 3),
    };
  }
  return patternFormat(text, offsetMinutes);
}

/** The times that a consumer takes. */
function readIso(text: string, offsetMinutes: number): bigint | undefined {
  const micros = parseInstant(text);
  if (micros === undefined) return undefined;
  const namesOffset = /([Zz]|[+-]\d{2}(:?\d{2})?)$/.test(text.slice("YYYY-MM-DD".length));
  return namesOffset ? micros : micros - BigInt(offsetMinutes) * 60_000_000n;
}

function patternFormat(text: string, offsetMinutes: number): TimeFormat | undefined {
  const seen = new Set<keyof Fields>();
  let source = "";
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    const part = TOKENS[match[0]];
    if (part?.field === undefined || seen.has(part.field)) return undefined;
    seen.add(part.field);
    source += escape(text.slice(end, match.index)) + `(?<${part.field}>${part.pattern})`;
    end = match.index + match[0].length;
  }
  if (!seen.has("year") || !seen.has("month") || !seen.has("day")) return undefined;
  // Twelve hours without AM or PM would be ambiguous, and AM or PM beside twenty-four contradictory.
  if (/h/.test(text) !== seen.has("half")) return undefined;
  const pattern = new RegExp(`^${source}${escape(text.slice(end))}$`);
  return { expected: `a time like ${text}`, parse: (time) => readMatch(pattern.exec(time), offsetMinutes) };
}

function escape(literal: string): string {
  return literal.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}

/** By its digits, since a double does not hold the microseconds of each. @param places 6 for seconds, 3 for milliseconds */
function readNumber(text: string, places: number): bigint | undefined {
  const match = /^(-?)(\d{1,15})(?:\.(\d{1,9}))?$/.exec(text);
  if (match === null) return undefined;
  const [, sign, whole = "", fraction = ""] = match;
  const micros = BigInt(whole + fraction.slice(0, places).padEnd(places, "0"));
  return sign === "-" ? -micros : micros;
}

function readMatch(match: RegExpExecArray | null, offsetMinutes: number): bigint | undefined {
  if (match === null) return undefined;
  const fields = (match.groups ?? {}) as Partial<Fields>;
  const number = (field: keyof Fields) => Number(fields[field] ?? 0);
  const hour = hourOfDay(number("hour"), fields.half);
  if (hour === undefined || number("minute") > 59 || number("second") > 59) return undefined;
  const date = new Date(0);
  // Date.UTC would read the years 0 to 99 as 1900 to 1999.
  date.setUTCFullYear(number("year"), number("month") - 1, number("day"));
  date.setUTCHours(hour, number("minute"), number("second"));
  // A day that its month does not have has moved the month on.
  if (date.getUTCMonth() !== number("month") - 1 || date.getUTCDate() !== number("day")) return undefined;
  const own = fields.offset === undefined ? offsetMinutes : readOffset(fields.offset);
  const fraction = Number((fields.fraction ?? "").padEnd(6, "0").slice(0, 6));
  return BigInt(date.getTime() - own * 60_000) * 1000n + BigInt(fraction);
}

function hourOfDay(hour: number, half: string | undefined): number | undefined {
  if (half === undefined) return hour <= 23 ? hour : undefined;
  if (hour < 1 || hour > 12) return undefined;
  return (hour % 12) + (half.toUpperCase() === "PM" ? 12 : 0);
}

/** Minutes east of Greenwich. */
function readOffset(text: string): number {
  if (/^z$/i.test(text)) return 0;
  const minutes = Number(text.slice(1, 3)) * 60 + Number(text.slice(-2));
  return text.startsWith("-") ? -minutes : minutes;
}
