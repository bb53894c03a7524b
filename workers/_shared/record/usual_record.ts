/**
 * Reads the usual record from its bytes: what JSON writers make of a valid reading, without a text and an object in
 * between. Whatever is not exactly that is left to `decode.ts`, which says what a record is; a test holds this reader's
 * answers to the decoder's.
 */
import { daysInMonth, daysSinceEpoch, SECONDS_A_DAY } from "./instant.ts";

/** What the record says; filled in by each `readUsualRecord`. */
export class UsualRecord {
  /** Where the customer's bytes lie, printable ASCII without escapes. */
  customerFrom = 0;
  customerEnd = 0;
  /** Since the Unix epoch. */
  seconds = 0;
  /** 0 to 999,999, to be added to the seconds. */
  micros = 0;
  /** 0 to 999 beats per minute: whether that is valid is for others to say. */
  heartRate = 0;
}

const ascii = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const CUSTOMER_ID = ascii('"customer_id"');
const TIMESTAMP = ascii('"timestamp"');
const HEART_RATE = ascii('"heart_rate"');
const [SPACE, QUOTE, BACKSLASH, OPEN, CLOSE] = [0x20, 0x22, 0x5c, 0x7b, 0x7d];
const [COLON, COMMA, POINT, PLUS, HYPHEN] = [0x3a, 0x2c, 0x2e, 0x2b, 0x2d];
const [CAPITAL_T, CAPITAL_Z, SMALL_T, SMALL_Z] = [0x54, 0x5a, 0x74, 0x7a];
const ZERO = 0x30;
const LAST_PRINTABLE = 0x7e;
const MOST_CHARACTERS = 128;
const MICRO_DIGITS = 6;

/**
 * @param bytes where the record's value lies, from `at` to `end`
 * @param into receives what it says; meaningless after false
 * @returns false when somebody else has to look: it may be valid all the same
 */
export function readUsualRecord(bytes: Uint8Array, at: number, end: number, into: UsualRecord): boolean {
  // Without a member more, nothing comes twice: these three in this order, a space at most after each mark.
  at = behind(bytes, at, OPEN);
  at = name(bytes, at, CUSTOMER_ID);
  at = behind(bytes, at, QUOTE);
  if (at < 0) return false;
  into.customerFrom = at;
  for (let byte = bytes[at] ?? 0; byte !== QUOTE; byte = bytes[++at] ?? 0) {
    if (byte < SPACE || byte > LAST_PRINTABLE || byte === BACKSLASH) return false;
  }
  const characters = at - into.customerFrom;
  if (characters < 1 || characters > MOST_CHARACTERS) return false;
  into.customerEnd = at;
  at = comma(bytes, at + 1);
  at = name(bytes, at, TIMESTAMP);
  at = behind(bytes, at, QUOTE);
  at = readInstant(bytes, at, into);
  at = behind(bytes, at, QUOTE);
  at = comma(bytes, at);
  at = name(bytes, at, HEART_RATE);
  at = readHeartRate(bytes, at, into);
  if (at < 0) return false;
  if (bytes[at] === SPACE) at++;
  return bytes[at] === CLOSE && at + 1 === end;
}

/** All of these return where to go on, or -1 when it is not the usual record; -1 in is -1 out. */
function behind(bytes: Uint8Array, at: number, byte: number): number {
  return at >= 0 && bytes[at] === byte ? at + 1 : -1;
}

function comma(bytes: Uint8Array, at: number): number {
  const next = behind(bytes, at, COMMA);
  return next >= 0 && bytes[next] === SPACE ? next + 1 : next;
}

function name(bytes: Uint8Array, at: number, quoted: Uint8Array): number {
  if (at < 0) return -1;
  for (let index = 0; index < quoted.length; index++) if (bytes[at + index] !== quoted[index]) return -1;
  const next = behind(bytes, at + quoted.length, COLON);
  return next >= 0 && bytes[next] === SPACE ? next + 1 : next;
}

/** `2026-07-14T09:30:00`, decimals or none, `Z`, `+02:00` or nothing; no leap second. */
function readInstant(bytes: Uint8Array, at: number, into: UsualRecord): number {
  if (at < 0) return -1;
  const year = twoDigits(bytes, at) * 100 + twoDigits(bytes, at + 2);
  const month = twoDigits(bytes, at + 5);
  const day = twoDigits(bytes, at + 8);
  const hour = twoDigits(bytes, at + 11);
  const minute = twoDigits(bytes, at + 14);
  const second = twoDigits(bytes, at + 17);
  const separator = bytes[at + 10];
  if (bytes[at + 4] !== HYPHEN || bytes[at + 7] !== HYPHEN) return -1;
  if (bytes[at + 13] !== COLON || bytes[at + 16] !== COLON) return -1;
  if (separator !== CAPITAL_T && separator !== SPACE && separator !== SMALL_T) return -1;
  // NaN, for what is no digit, fails every comparison. With an offset the first and the last year need a closer look.
  const exists = year > 1 && year < 9999 && month >= 1 && month <= 12 && day >= 1 && hour <= 23 &&
    minute <= 59 && second <= 59 && day <= daysInMonth(year, month);
  if (!exists) return -1;
  at += 19;
  let micros = 0;
  if (bytes[at] === POINT) {
    const first = ++at;
    for (let digit = digitAt(bytes, at); digit >= 0 && digit <= 9; digit = digitAt(bytes, ++at)) {
      if (at - first < MICRO_DIGITS) micros = micros * 10 + digit;
    }
    if (at === first) return -1;
    for (let digits = at - first; digits < MICRO_DIGITS; digits++) micros *= 10;
  }
  let offsetMinutes = 0;
  const zone = bytes[at];
  if (zone === CAPITAL_Z || zone === SMALL_Z) at++;
  else if (zone === PLUS || zone === HYPHEN) {
    const hours = twoDigits(bytes, at + 1);
    const minutes = twoDigits(bytes, at + 4);
    if (!(hours <= 23 && minutes <= 59) || bytes[at + 3] !== COLON) return -1;
    offsetMinutes = (zone === HYPHEN ? -1 : 1) * (hours * 60 + minutes);
    at += 6;
  }
  const days = daysSinceEpoch(year, month, day);
  into.seconds = days * SECONDS_A_DAY + (hour * 60 + minute - offsetMinutes) * 60 + second;
  into.micros = micros;
  return at;
}

/** One to three digits without a leading zero. */
function readHeartRate(bytes: Uint8Array, at: number, into: UsualRecord): number {
  if (at < 0) return -1;
  const first = at;
  let value = 0;
  for (let digit = digitAt(bytes, at); digit >= 0 && digit <= 9; digit = digitAt(bytes, ++at)) {
    value = value * 10 + digit;
  }
  const digits = at - first;
  if (digits < 1 || digits > 3 || bytes[first] === ZERO) return -1;
  into.heartRate = value;
  return at;
}

function twoDigits(bytes: Uint8Array, at: number): number {
  const tens = digitAt(bytes, at);
  const ones = digitAt(bytes, at + 1);
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : NaN;
}

/** Out of 0 to 9 for what is no digit, and behind the end. */
function digitAt(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) - ZERO;
}
