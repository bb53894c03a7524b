/**
 * Snappy's blocks, which take no trust. Format: https://github.com/google/snappy/blob/main/format_description.txt; the
 * Java client puts blocks into a wrapping of its own, each behind its length.
 */
import { Buffer } from "node:buffer";
import { Unpacked } from "./unpacked.ts";

const WRAPPED = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const WRAPPING_BYTES = 16;
/** Snappy's densest element makes 64 bytes of three. */
const MOST_OF_A_BYTE = 22;
const MOST_LENGTH_BYTES = 5;

/** Kinds of elements, the lowest two bits of each. */
const LITERALS = 0;
const NEAR_REPEAT = 1;
const REPEAT = 2;
/** Lengths of literals from here on are in the bytes behind, one byte for the first of these. */
const LONG_LITERALS = 60;

/** @throws RangeError for a length that so few bytes cannot stand for */
export function snappyLength(bytes: Buffer): number {
  return follow(bytes);
}

/**
 * @param most bytes it may become
 * @returns undefined when it would become more
 * @throws RangeError for bytes that are none of snappy
 */
export function unpackSnappy(bytes: Buffer, most: number): Buffer | undefined {
  const length = follow(bytes);
  if (length > most) return undefined;
  const unpacked = new Unpacked(length);
  follow(bytes, unpacked);
  return unpacked.finish();
}

/**
 * Follows the blocks. There may be one for each byte, so that nothing is made for a block: it is a place in the bytes.
 *
 * @param unpacked what they are put into; left out, the lengths that they state are only added up
 * @returns how many bytes they become, as they state it
 */
function follow(bytes: Buffer, unpacked?: Unpacked): number {
  const isWrapped = bytes.subarray(0, WRAPPED.length).equals(WRAPPED);
  if (!isWrapped) return followBlock(bytes, 0, bytes.length, unpacked);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let sum = 0;
  for (let at = WRAPPING_BYTES; at < bytes.length;) {
    const from = at + 4;
    const end = from <= bytes.length ? from + view.getUint32(at) : Infinity;
    if (end > bytes.length) throw new RangeError("a block of snappy ends behind its batch");
    sum += followBlock(bytes, from, end, unpacked);
    at = end;
  }
  return sum;
}

/** A block begins with its length, of seven bits a byte. */
function followBlock(bytes: Buffer, from: number, end: number, unpacked?: Unpacked): number {
  const most = Math.min(from + MOST_LENGTH_BYTES, end);
  let elementsAt = from;
  while (elementsAt < most && (bytes[elementsAt++] ?? 0) >= 0x80);
  let length = 0;
  for (let at = elementsAt; at > from;) length = length * 128 + ((bytes[--at] ?? 0) & 0x7f);
  if (length > (end - from) * MOST_OF_A_BYTE) {
    throw new RangeError(`${end - from} bytes of snappy cannot stand for ${length}`);
  }
  if (unpacked !== undefined) unpackElements(bytes, elementsAt, end, unpacked);
  return length;
}

function unpackElements(bytes: Buffer, from: number, end: number, unpacked: Unpacked): void {
  let at = from;
  while (at < end) {
    const tag = bytes[at++] ?? 0;
    const kind = tag & 0b11;
    if (kind === LITERALS) {
      let length = (tag >> 2) + 1;
      if (length > LONG_LITERALS) {
        const lengthBytes = length - LONG_LITERALS;
        length = littleEndian(bytes, at, lengthBytes) + 1;
        at += lengthBytes;
      }
      unpacked.append(bytes, at, length);
      at += length;
    } else if (kind === NEAR_REPEAT) {
      unpacked.repeat((tag >> 5) << 8 | (bytes[at++] ?? 0), (tag >> 2 & 0b111) + 4);
    } else {
      const distanceBytes = kind === REPEAT ? 2 : 4;
      unpacked.repeat(littleEndian(bytes, at, distanceBytes), (tag >> 2) + 1);
      at += distanceBytes;
    }
  }
  if (at > end) throw new RangeError("an element of snappy ends behind its block");
}

function littleEndian(bytes: Buffer, at: number, count: number): number {
  let value = 0;
  for (let index = count - 1; index >= 0; index--) value = value * 256 + (bytes[at + index] ?? 0);
  return value;
}
