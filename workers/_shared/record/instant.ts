/**
 * Instants as the wire writes them and as the pipeline carries them: whole microseconds since the Unix epoch.
 * A JavaScript `Date` knows milliseconds only, and two readings a microsecond apart are two rows.
 */

/**
 * The shape of a timestamp, for the published schema: ISO 8601 in its extended form, of which RFC 3339 is a subset;
 * without an offset it is UTC. It cannot say which dates exist; `parseInstant` does.
 */
export const INSTANT_PATTERN =
  /^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt ]([01][0-9]|2[0-3]):[0-5][0-9](:([0-5][0-9]|60)([.,][0-9]+)?)?([Zz]|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)?$/;

const SECONDS_A_DAY = 86_400;
/** 0001-01-01 and 10000-01-01: what lies between has four-digit years wherever it is printed. */
const FIRST_SECOND = -62_135_596_800;
const END_SECOND = 253_402_300_800;
const MICRO_DIGITS = 6;

/** Seconds since the Unix epoch and, to be added, 0 to 999,999 microseconds: exact without a BigInt. */
export class InstantParts {
  seconds = 0;
  micros = 0;
}

const ZERO = 0x30;
const [SPACE, PLUS, COMMA, HYPHEN, POINT, COLON] = [0x20, 0x2b, 0x2c, 0x2d, 0x2e, 0x3a];
const [CAPITAL_T, CAPITAL_Z, SMALL_T, SMALL_Z] = [0x54, 0x5a, 0x74, 0x7a];

/**
 * Reads a timestamp exactly, where Kafka's bytes lie; decimals after the sixth are cut, never rounded.
 *
 * - 23:59:60 UTC, a leap second, is the first second of the next day, as in POSIX and PostgreSQL. It is accepted on any
 *   day, because a table of the real ones would have to be kept up; `:60` at any other time does not exist.
 * - 24:00 is refused, as RFC 3339 does. The year is 0001 to 9999 as written and in UTC.
 *
 * @param from where it begins, in ASCII or UTF-8
 * @param into receives what it says; meaningless after -1
 * @returns where it ends, or -1 when it is none or the date does not exist
 */
export function readInstant(bytes: Uint8Array, from: number, into: InstantParts): number {
  const year = twoDigits(bytes, from) * 100 + twoDigits(bytes, from + 2);
  const month = twoDigits(bytes, from + 5);
  const day = twoDigits(bytes, from + 8);
  const hour = twoDigits(bytes, from + 11);
  const minute = twoDigits(bytes, from + 14);
  const separator = bytes[from + 10];
  if (bytes[from + 4] !== HYPHEN || bytes[from + 7] !== HYPHEN || bytes[from + 13] !== COLON) return -1;
  if (separator !== CAPITAL_T && separator !== SPACE && separator !== SMALL_T) return -1;
  let at = from + 16;
  let second = 0;
  let micros = 0;
  if (bytes[at] === COLON) {
    second = twoDigits(bytes, at + 1);
    at += 3;
    if (bytes[at] === POINT || bytes[at] === COMMA) {
      const first = ++at;
      for (let digit = digitAt(bytes, at); digit >= 0 && digit <= 9; digit = digitAt(bytes, ++at)) {
        if (at - first < MICRO_DIGITS) micros = micros * 10 + digit;
      }
      if (at === first) return -1;
      for (let digits = at - first; digits < MICRO_DIGITS; digits++) micros *= 10;
    }
  }
  let eastMinutes = 0;
  const zone = bytes[at];
  if (zone === CAPITAL_Z || zone === SMALL_Z) at++;
  else if (zone === PLUS || zone === HYPHEN) {
    const hours = twoDigits(bytes, at + 1);
    at += 3;
    const colon = bytes[at] === COLON ? 1 : 0;
    const hasMinutes = colon === 1 || digitAt(bytes, at) >= 0 && digitAt(bytes, at) <= 9;
    const minutes = hasMinutes ? twoDigits(bytes, at + colon) : 0;
    if (hasMinutes) at += colon + 2;
    if (!(hours <= 23 && minutes <= 59)) return -1;
    eastMinutes = (zone === HYPHEN ? -1 : 1) * (hours * 60 + minutes);
  }
  // Whatever was no digit is NaN by now, and NaN fails every comparison.
  const exists = year >= 1 && month >= 1 && month <= 12 && day >= 1 &&
    (day <= 28 || day <= daysSinceEpoch(year, month + 1, 1) - daysSinceEpoch(year, month, 1)) &&
    hour <= 23 && minute <= 59 && second <= 60;
  if (!exists) return -1;
  const clock = (hour * 60 + minute - eastMinutes) * 60 + second;
  const seconds = daysSinceEpoch(year, month, day) * SECONDS_A_DAY + clock;
  if (second === 60 && seconds % SECONDS_A_DAY !== 0) return -1;
  if (seconds < FIRST_SECOND || seconds >= END_SECOND) return -1;
  into.seconds = seconds;
  into.micros = micros;
  return at;
}

const parts = new InstantParts();
/** Nearly every timestamp fits into it. */
const scratch = new Uint8Array(64);

/** @returns microseconds since the Unix epoch, or undefined when the text is none or the date does not exist */
export function parseInstant(text: string): bigint | undefined {
  const bytes = text.length < scratch.length ? scratch : new Uint8Array(text.length + 1);
  for (let at = 0; at < text.length; at++) bytes[at] = Math.min(text.charCodeAt(at), 0xff);
  bytes[text.length] = 0;
  if (readInstant(bytes, 0, parts) !== text.length) return undefined;
  const total = parts.seconds * 1_000_000 + parts.micros;
  // One BigInt instead of three where a double holds the product exactly: the years 1684 to 2255.
  if (Number.isSafeInteger(total)) return BigInt(total);
  return BigInt(parts.seconds) * 1_000_000n + BigInt(parts.micros);
}

/** Whether an instant lies in the years 0001 to 9999, which is what a timestamp can say. @param micros since 1970 */
export function isTimestamp(micros: bigint): boolean {
  return micros >= BigInt(FIRST_SECOND) * 1_000_000n && micros < BigInt(END_SECOND) * 1_000_000n;
}

/**
 * Days from 1970-01-01 in the proleptic Gregorian calendar. Years begin in March here, so that the leap day is the last;
 * month 13 is the next January. Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
 */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const marchYear = month <= 2 ? year - 1 : year;
  const dayOfYear = Math.trunc((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const leapDays = Math.trunc(marchYear / 4) - Math.trunc(marchYear / 100) + Math.trunc(marchYear / 400);
  return marchYear * 365 + leapDays + dayOfYear - 719_468;
}

/** The value of two ASCII digits; NaN for anything else. */
function twoDigits(bytes: Uint8Array, at: number): number {
  const tens = digitAt(bytes, at);
  const ones = digitAt(bytes, at + 1);
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : NaN;
}

/** Out of 0 to 9 for what is no digit, and behind the end. */
export function digitAt(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) - ZERO;
}

/** The instant in RFC 3339, UTC, with all six decimals. @param micros microseconds since the Unix epoch */
export function formatInstant(micros: bigint): string {
  const fraction = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const whole = new Date(Number((micros - fraction) / 1_000n)).toISOString();
  return `${whole.slice(0, -5)}.${String(fraction).padStart(6, "0")}Z`;
}
