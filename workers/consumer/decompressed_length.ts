/**
 * How long compressed bytes will be, read from their format: the client's snappy and lz4 take no limit, and make room for
 * whatever they are told. Formats: https://github.com/google/snappy/blob/main/format_description.txt,
 * https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md and lz4_Block_format.md beside it.
 */
import { Buffer } from "node:buffer";

/** What the Java library puts around blocks of snappy, each behind its length. */
const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const XERIAL_HEADER_BYTES = 16;
/** Snappy's densest element makes 64 bytes of three. */
const MOST_OF_A_SNAPPY_BYTE = 22;

const LZ4_FRAME = 0x184d2204;
const LZ4_HAS_BLOCK_CHECKSUMS = 1 << 4;
const LZ4_HAS_CONTENT_SIZE = 1 << 3;
const LZ4_HAS_DICTIONARY = 1 << 0;
const LZ4_IS_PLAIN = 0x8000_0000;
/** A length of four bits that goes on in the bytes behind it. */
const LZ4_LONG = 15;
const LZ4_SHORTEST_MATCH = 4;
const LZ4_OFFSET_BYTES = 2;

/** @throws RangeError for a length that so few bytes cannot stand for */
export function snappyLength(bytes: Buffer): number {
  if (!bytes.subarray(0, XERIAL.length).equals(XERIAL)) return statedLength(bytes);
  let sum = 0;
  for (let at = XERIAL_HEADER_BYTES; at + 4 <= bytes.length;) {
    const end = at + 4 + bytes.readUInt32BE(at);
    sum += statedLength(bytes.subarray(at + 4, end));
    at = end;
  }
  return sum;
}

/** A block of snappy begins with it. */
function statedLength(block: Buffer): number {
  let length = 0;
  for (let at = 0, unit = 1; unit <= 2 ** 28; at++, unit *= 128) {
    const byte = block[at] ?? 0;
    length += (byte & 0x7f) * unit;
    if (byte < 0x80) break;
  }
  if (length > block.length * MOST_OF_A_SNAPPY_BYTE) {
    throw new RangeError(`${block.length} bytes of snappy cannot stand for ${length}`);
  }
  return length;
}

/**
 * Of one frame, as a batch has one. What the frame says of itself is no limit for what its blocks hold, so these are
 * followed.
 *
 * @throws RangeError for bytes that are no frame
 */
export function lz4Length(bytes: Buffer): number {
  if (bytes.length < 7 || bytes.readUInt32LE(0) !== LZ4_FRAME) {
    throw new RangeError("this is no frame of lz4");
  }
  const flags = bytes.readUInt8(4);
  const checksumBytes = (flags & LZ4_HAS_BLOCK_CHECKSUMS) === 0 ? 0 : 4;
  let at = 7;
  if ((flags & LZ4_HAS_CONTENT_SIZE) !== 0) at += 8;
  if ((flags & LZ4_HAS_DICTIONARY) !== 0) at += 4;
  let sum = 0;
  while (at + 4 <= bytes.length) {
    const size = bytes.readUInt32LE(at);
    if (size === 0) break;
    const length = size % LZ4_IS_PLAIN;
    const end = at + 4 + length;
    sum += size >= LZ4_IS_PLAIN ? length : lz4BlockLength(bytes, at + 4, Math.min(end, bytes.length));
    at = end + checksumBytes;
  }
  return sum;
}

/** Follows the sequences of a block: literals, and a match that repeats earlier bytes; the last has no match. */
function lz4BlockLength(bytes: Buffer, from: number, end: number): number {
  let sum = 0;
  let at = from;
  const lengthOf = (short: number): number => {
    let length = short;
    for (let byte = short === LZ4_LONG ? 255 : 0; byte === 255; length += byte) byte = bytes[at++] ?? 0;
    return length;
  };
  while (at < end) {
    const token = bytes[at++] ?? 0;
    const literals = lengthOf(token >> 4);
    sum += literals;
    at += literals;
    if (at >= end) break;
    at += LZ4_OFFSET_BYTES;
    sum += lengthOf(token & LZ4_LONG) + LZ4_SHORTEST_MATCH;
  }
  return sum;
}
