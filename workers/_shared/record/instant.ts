/**
 * Instants as the wire writes them and as the pipeline carries them: whole microseconds since the Unix epoch.
 * A JavaScript `Date` knows milliseconds only, and two readings a microsecond apart are two rows.
 */

/**
 * The shape of a timestamp, for the published schema. It cannot say which dates exist; `parseInstant` does.
 *
 * ISO 8601 in its extended form (RFC 3339 is a subset): `T`, `t` or one space between date and time; seconds may be
 * left out; any number of decimals after a point or a comma; `Z`, `z`, `+hh:mm`, `+hhmm`, `+hh` or nothing (then UTC).
 */
export const INSTANT_PATTERN =
  /^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt ]([01][0-9]|2[0-3]):[0-5][0-9](:([0-5][0-9]|60)([.,][0-9]+)?)?([Zz]|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)?$/;

export const SECONDS_A_DAY = 86_400;
/** 0001-01-01T00:00:00Z and 10000-01-01T00:00:00Z: what lies between has four-digit years wherever it is printed. */
const FIRST_SECOND = -62_135_596_800;
const END_SECOND = 253_402_300_800;
const FIRST_MICROS = BigInt(FIRST_SECOND) * 1_000_000n;
const END_MICROS = BigInt(END_SECOND) * 1_000_000n;

/**
 * Parses a timestamp exactly; decimals after the sixth are cut, never rounded.
 *
 * - 23:59:60 UTC, a leap second, is the first second of the next day, as in POSIX and PostgreSQL. It is accepted on any
 *   day, because a table of the real ones would have to be kept up; `:60` at any other time does not exist.
 * - 24:00 is refused, as RFC 3339 does: the next day's 00:00 says it.
 * - The year is 0001 to 9999 as written and in UTC.
 *
 * Written out by position and without a regular expression, which would cost about a fifth of a record's decoding.
 *
 * @returns microseconds since the Unix epoch, or undefined when the text is none or the date does not exist
 */
export function parseInstant(text: string): bigint | undefined {
  const year = twoDigits(text, 0) * 100 + twoDigits(text, 2);
  const month = twoDigits(text, 5);
  const day = twoDigits(text, 8);
  const hour = twoDigits(text, 11);
  const minute = twoDigits(text, 14);
  const separator = text[10];
  if (text[4] !== "-" || text[7] !== "-" || text[13] !== ":") return undefined;
  if (separator !== "T" && separator !== " " && separator !== "t") return undefined;
  let end = 16;
  let second = 0;
  let micros = 0;
  if (text[end] === ":") {
    second = twoDigits(text, 17);
    end = 19;
    if (text[end] === "." || text[end] === ",") {
      const first = ++end;
      let scale = 100_000;
      for (let one = digit(text, end); one >= 0 && one <= 9; one = digit(text, ++end)) {
        micros += one * scale;
        scale = Math.trunc(scale / 10);
      }
      if (end === first) return undefined;
    }
  }
  // Whatever was no digit is NaN by now, and NaN fails every comparison.
  const exists = year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month) &&
    hour <= 23 && minute <= 59 && second <= 60;
  if (!exists) return undefined;
  const clock = (hour * 60 + minute - offsetMinutes(text, end)) * 60 + second;
  const seconds = daysSinceEpoch(year, month, day) * SECONDS_A_DAY + clock;
  if (second === 60 && seconds % SECONDS_A_DAY !== 0) return undefined;
  return seconds >= FIRST_SECOND && seconds < END_SECOND ? microseconds(seconds, micros) : undefined;
}

/** Whether an instant lies in the years 0001 to 9999, which is what a timestamp can say. @param micros since 1970 */
export function isTimestamp(micros: bigint): boolean {
  return micros >= FIRST_MICROS && micros < END_MICROS;
}

/** One BigInt instead of three where a double holds the product exactly: the years 1684 to 2255. */
function microseconds(seconds: number, micros: number): bigint {
  const total = seconds * 1_000_000 + micros;
  return Number.isSafeInteger(total) ? BigInt(total) : BigInt(seconds) * 1_000_000n + BigInt(micros);
}

/** What follows the clock, in minutes east of UTC; NaN when it is no offset. */
function offsetMinutes(text: string, at: number): number {
  if (at === text.length) return 0;
  const sign = text[at];
  if (sign === "Z" || sign === "z") return at + 1 === text.length ? 0 : NaN;
  if (sign !== "+" && sign !== "-") return NaN;
  const hours = twoDigits(text, at + 1);
  let minutes = 0;
  let end = at + 3;
  if (end < text.length) {
    if (text[end] === ":") end++;
    minutes = twoDigits(text, end);
    end += 2;
  }
  if (end !== text.length || !(hours <= 23 && minutes <= 59)) return NaN;
  return (sign === "-" ? -1 : 1) * (hours * 60 + minutes);
}

export function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/**
 * Days from 1970-01-01 in the proleptic Gregorian calendar. Years begin in March here, so that the leap day is the last.
 * Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
 */
export function daysSinceEpoch(year: number, month: number, day: number): number {
  const marchYear = month <= 2 ? year - 1 : year;
  const dayOfYear = Math.trunc((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const leapDays = Math.trunc(marchYear / 4) - Math.trunc(marchYear / 100) + Math.trunc(marchYear / 400);
  return marchYear * 365 + leapDays + dayOfYear - 719_468;
}

/** The value of two ASCII digits; NaN, or a number out of every range, for anything else. */
function twoDigits(text: string, at: number): number {
  const tens = digit(text, at);
  const ones = digit(text, at + 1);
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : NaN;
}

/** NaN after the end of the text. */
function digit(text: string, at: number): number {
  return text.charCodeAt(at) - 48;
}

/** The instant in RFC 3339, UTC, with all six decimals. @param micros microseconds since the Unix epoch */
export function formatInstant(micros: bigint): string {
  const fraction = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const whole = new Date(Number((micros - fraction) / 1_000n)).toISOString();
  return `${whole.slice(0, -5)}.${String(fraction).padStart(6, "0")}Z`;
}
