/**
 * Decodes the common record straight from its bytes, without a string and an object. It accepts only what usual JSON encoders
 * write for a valid reading, and leaves the rest to `decode.ts`. A test compares the two.
 */
import { digitAt, InstantParts, readInstant } from "./instant.ts";

export class FastPathRecord extends InstantParts {
  /** The position of the customer id, which is printable ASCII without escapes. */
  customerFrom = 0;
  customerEnd = 0;
  /** 0 to 999. The caller checks the limits. */
  heartRate = 0;
}

const ascii = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const CUSTOMER_ID = ascii('{"customer_id":');
const TIMESTAMP = ascii('"timestamp":');
const HEART_RATE = ascii('"heart_rate":');
const NEXT = ascii('",');
const [SPACE, QUOTE, BACKSLASH, CLOSE] = [0x20, 0x22, 0x5c, 0x7d];
const LAST_PRINTABLE = 0x7e;
const MAX_CHARACTERS = 128;

/**
 * @param into receives the record; its content is undefined after false
 * @returns false if the general decoder must decide: the record may be valid
 */
export function decodeFastPath(bytes: Uint8Array, pos: number, end: number, into: FastPathRecord): boolean {
  // Accepts exactly three members in this order, so none can occur twice, and at most one space after each token.
  pos = skipPast(bytes, pos, CUSTOMER_ID);
  if (pos < 0 || bytes[pos] !== QUOTE) return false;
  into.customerFrom = ++pos;
  for (let byte = bytes[pos] ?? 0; byte !== QUOTE; byte = bytes[++pos] ?? 0) {
    if (byte < SPACE || byte > LAST_PRINTABLE || byte === BACKSLASH) return false;
  }
  const characters = pos - into.customerFrom;
  if (characters < 1 || characters > MAX_CHARACTERS) return false;
  into.customerEnd = pos;
  pos = skipPast(bytes, skipPast(bytes, pos, NEXT), TIMESTAMP);
  if (pos < 0 || bytes[pos] !== QUOTE) return false;
  pos = readInstant(bytes, pos + 1, into);
  pos = skipPast(bytes, skipPast(bytes, pos, NEXT), HEART_RATE);
  if (pos < 0) return false;
  const first = pos;
  let heartRate = 0;
  for (let digit = digitAt(bytes, pos); digit >= 0 && digit <= 9; digit = digitAt(bytes, ++pos)) {
    heartRate = heartRate * 10 + digit;
  }
  const digits = pos - first;
  if (digits < 1 || digits > 3 || digitAt(bytes, first) === 0) return false;
  into.heartRate = heartRate;
  if (bytes[pos] === SPACE) pos++;
  return bytes[pos] === CLOSE && pos + 1 === end;
}

/** @returns the position after `expected` and at most one space, or -1 if the bytes differ or `pos` is -1 */
function skipPast(bytes: Uint8Array, pos: number, expected: Uint8Array): number {
  if (pos < 0) return -1;
  for (let index = 0; index < expected.length; index++) if (bytes[pos + index] !== expected[index]) return -1;
  const next = pos + expected.length;
  return bytes[next] === SPACE ? next + 1 : next;
}
