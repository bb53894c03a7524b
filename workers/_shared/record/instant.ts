/** Instants in microseconds since the Unix epoch. A `Date` has only milliseconds, but readings a microsecond apart are two rows. */
/** Extended ISO 8601, which includes RFC 3339, for the published schema. A pattern cannot tell which dates exist. */
export const INSTANT_PATTERN =
  /^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt ]([01][0-9]|2[0-3]):[0-5][0-9](:([0-5][0-9]|60)([.,][0-9]+)?)?([Zz]|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)?$/;

const SECONDS_A_DAY = 86_400;
/** From 0001-01-01 up to 10000-01-01, so that every program prints the year with four digits. */
const FIRST_SECOND = -62_135_596_800;
const END_SECOND = 253_402_300_800;
const MICRO_DIGITS = 6;

/** Two doubles are exact, and cheaper than a BigInt. */
export class InstantParts {
  seconds = 0;
  micros = 0;
}

const ZERO = 0x30;
const [SPACE, PLUS, COMMA, HYPHEN, POINT, COLON] = [0x20, 0x2b, 0x2c, 0x2d, 0x2e, 0x3a];
const [CAPITAL_T, CAPITAL_Z, SMALL_T, SMALL_Z] = [0x54, 0x5a, 0x74, 0x7a];

/**
 * Reads a timestamp in ASCII or UTF-8 bytes. Digits after the sixth decimal are dropped.
 *
 * - 23:59:60 UTC, a leap second, is the first second of the next day, as in POSIX and PostgreSQL. It is valid on any day,
 *   because a table of the real leap seconds would need updates.
 * - 24:00 is invalid, as in RFC 3339.
 *
 * @param into receives the instant; its content is undefined after -1
 * @returns the position after the timestamp, or -1 if it is malformed or the date does not exist
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
  let pos = from + 16;
  let second = 0;
  let micros = 0;
  if (bytes[pos] === COLON) {
    second = twoDigits(bytes, pos + 1);
    pos += 3;
    if (bytes[pos] === POINT || bytes[pos] === COMMA) {
      const first = ++pos;
      for (let digit = digitAt(bytes, pos); digit >= 0 && digit <= 9; digit = digitAt(bytes, ++pos)) {
        if (pos - first < MICRO_DIGITS) micros = micros * 10 + digit;
      }
      if (pos === first) return -1;
      for (let digits = pos - first; digits < MICRO_DIGITS; digits++) micros *= 10;
    }
  }
  let eastMinutes = 0;
  const zone = bytes[pos];
  if (zone === CAPITAL_Z || zone === SMALL_Z) pos++;
  else if (zone === PLUS || zone === HYPHEN) {
    const hours = twoDigits(bytes, pos + 1);
    pos += 3;
    const colon = bytes[pos] === COLON ? 1 : 0;
    const hasMinutes = colon === 1 || digitAt(bytes, pos) >= 0 && digitAt(bytes, pos) <= 9;
    const minutes = hasMinutes ? twoDigits(bytes, pos + colon) : 0;
    if (hasMinutes) pos += colon + 2;
    if (!(hours <= 23 && minutes <= 59)) return -1;
    eastMinutes = (zone === HYPHEN ? -1 : 1) * (hours * 60 + minutes);
  }
  // twoDigits returns NaN for other characters, and every comparison with NaN is false.
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
  return pos;
}

const parts = new InstantParts();
const scratch = new Uint8Array(64);

/** Microseconds since the Unix epoch, or undefined if the text is malformed or the date does not exist. */
export function parseInstant(text: string): bigint | undefined {
  const bytes = text.length < scratch.length ? scratch : new Uint8Array(text.length + 1);
  for (let pos = 0; pos < text.length; pos++) bytes[pos] = Math.min(text.charCodeAt(pos), 0xff);
  bytes[text.length] = 0;
  if (readInstant(bytes, 0, parts) !== text.length) return undefined;
  const total = parts.seconds * 1_000_000 + parts.micros;
  // Saves two BigInts. A double is exact for the years 1684 to 2255.
  if (Number.isSafeInteger(total)) return BigInt(total);
  return BigInt(parts.seconds) * 1_000_000n + BigInt(parts.micros);
}

/** Whether the year is 0001 to 9999. `micros` are counted since the Unix epoch. */
export function isTimestamp(micros: bigint): boolean {
  return micros >= BigInt(FIRST_SECOND) * 1_000_000n && micros < BigInt(END_SECOND) * 1_000_000n;
}

/**
 * Years begin in March here, so that the leap day is the last day. Month 13 is the next January. Source: days_from_civil in
 * Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
 */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const marchYear = month <= 2 ? year - 1 : year;
  const dayOfYear = Math.trunc((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const leapDays = Math.trunc(marchYear / 4) - Math.trunc(marchYear / 100) + Math.trunc(marchYear / 400);
  return marchYear * 365 + leapDays + dayOfYear - 719_468;
}

function twoDigits(bytes: Uint8Array, pos: number): number {
  const tens = digitAt(bytes, pos);
  const ones = digitAt(bytes, pos + 1);
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : NaN;
}

/** Returns a number outside 0 to 9 if there is no byte, or the byte is not a digit. */
export function digitAt(bytes: Uint8Array, pos: number): number {
  return (bytes[pos] ?? 0) - ZERO;
}

/** Formats microseconds since the Unix epoch as RFC 3339 in UTC with six decimals. */
export function formatInstant(micros: bigint): string {
  const fraction = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const whole = new Date(Number((micros - fraction) / 1_000n)).toISOString();
  return `${whole.slice(0, -5)}.${String(fraction).padStart(6, "0")}Z`;
}
