/**
 * Reads the usual record from its bytes: what JSON writers make of a valid reading, without a text and an object in
 * between. Whatever is not exactly that is left to `decode.ts`, which says what a record is; a test holds this reader's
 * answers to the decoder's.
 */
import { digitAt, InstantParts, readInstant } from "./instant.ts";

/** What the record says; filled in by each `readUsualRecord`. */
export class FastPathRecord extends InstantParts {
  /** Where the customer's bytes lie, printable ASCII without escapes. */
  customerFrom = 0;
  customerEnd = 0;
  /** 0 to 999 beats per minute: whether that is valid is for others to say. */
  heartRate = 0;
}

const ascii = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const CUSTOMER_ID = ascii('{"customer_id":');
const TIMESTAMP = ascii('"timestamp":');
const HEART_RATE = ascii('"heart_rate":');
const NEXT = ascii('",');
const [SPACE, QUOTE, BACKSLASH, CLOSE] = [0x20, 0x22, 0x5c, 0x7d];
const LAST_PRINTABLE = 0x7e;
const MOST_CHARACTERS = 128;

/**
 * @param bytes where the record's value lies, from `at` to `end`
 * @param into receives what it says; meaningless after false
 * @returns false when somebody else has to look: it may be valid all the same
 */
export function decodeFastPath(bytes: Uint8Array, at: number, end: number, into: FastPathRecord): boolean {
  // Without a member more, nothing comes twice: these three in this order, a space at most after each mark.
  at = behind(bytes, at, CUSTOMER_ID);
  if (at < 0 || bytes[at] !== QUOTE) return false;
  into.customerFrom = ++at;
  for (let byte = bytes[at] ?? 0; byte !== QUOTE; byte = bytes[++at] ?? 0) {
    if (byte < SPACE || byte > LAST_PRINTABLE || byte === BACKSLASH) return false;
  }
  const characters = at - into.customerFrom;
  if (characters < 1 || characters > MOST_CHARACTERS) return false;
  into.customerEnd = at;
  at = behind(bytes, behind(bytes, at, NEXT), TIMESTAMP);
  if (at < 0 || bytes[at] !== QUOTE) return false;
  at = readInstant(bytes, at + 1, into);
  at = behind(bytes, behind(bytes, at, NEXT), HEART_RATE);
  if (at < 0) return false;
  // One to three digits without a leading zero.
  const first = at;
  let heartRate = 0;
  for (let digit = digitAt(bytes, at); digit >= 0 && digit <= 9; digit = digitAt(bytes, ++at)) {
    heartRate = heartRate * 10 + digit;
  }
  const digits = at - first;
  if (digits < 1 || digits > 3 || digitAt(bytes, first) === 0) return false;
  into.heartRate = heartRate;
  if (bytes[at] === SPACE) at++;
  return bytes[at] === CLOSE && at + 1 === end;
}

/** Where to go on behind these bytes and a space at most, or -1 when others are there; -1 in is -1 out. */
function behind(bytes: Uint8Array, at: number, expected: Uint8Array): number {
  if (at < 0) return -1;
  for (let index = 0; index < expected.length; index++) if (bytes[at + index] !== expected[index]) return -1;
  const next = at + expected.length;
  return bytes[next] === SPACE ? next + 1 : next;
}
