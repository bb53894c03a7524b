/**
 * LZ4's frames, which take no trust: how long one will be is counted before there is room made for it. Formats:
 * https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md, lz4_Block_format.md beside it. The checksums in a frame
 * are not looked at, as in the Java client: the record batch has one over all of it. A frame may have a block for each of
 * its bytes, so that nothing is made for a block: it is a place in the frame.
 */
import type { Buffer } from "node:buffer";
import { Unpacked } from "./unpacked.ts";

const MAGIC = 0x184d2204;
const HAS_BLOCK_CHECKSUMS = 1 << 4;
const HAS_CONTENT_SIZE = 1 << 3;
const HAS_DICTIONARY = 1 << 0;
const IS_PLAIN = 0x8000_0000;
/** A length of four bits that goes on in the bytes behind it. */
const LONG = 15;
const SHORTEST_MATCH = 4;
const DISTANCE_BYTES = 2;

/**
 * Of one frame, as a batch has one. What the frame says of itself is no limit for what its blocks hold, so these are
 * followed.
 *
 * @throws RangeError for bytes that are no frame
 */
export function lz4Length(frame: Buffer): number {
  return follow(frame);
}

/**
 * @param most bytes it may become
 * @returns undefined when it would become more
 * @throws RangeError for bytes that are no frame
 */
export function unpackLz4(frame: Buffer, most: number): Buffer | undefined {
  const length = follow(frame);
  if (length > most) return undefined;
  const unpacked = new Unpacked(length);
  follow(frame, unpacked);
  return unpacked.finish();
}

/**
 * Follows a frame's blocks.
 *
 * @param unpacked what they are put into; left out, they are only counted
 * @returns how many bytes they become
 */
function follow(frame: Buffer, unpacked?: Unpacked): number {
  if (frame.length < 7 || frame.readUInt32LE(0) !== MAGIC) throw new RangeError("this is no frame of lz4");
  const flags = frame.readUInt8(4);
  const checksumBytes = (flags & HAS_BLOCK_CHECKSUMS) === 0 ? 0 : 4;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  let at = 7;
  if ((flags & HAS_CONTENT_SIZE) !== 0) at += 8;
  if ((flags & HAS_DICTIONARY) !== 0) at += 4;
  for (let sum = 0;;) {
    if (at + 4 > frame.length) throw new RangeError("a frame of lz4 ends before its end mark");
    const size = view.getUint32(at, true);
    if (size === 0) return sum;
    const from = at + 4;
    const end = from + size % IS_PLAIN;
    if (end > frame.length) throw new RangeError("a block of lz4 ends behind its frame");
    if (size < IS_PLAIN) sum += followBlock(frame, from, end, unpacked);
    else {
      sum += end - from;
      unpacked?.append(frame, from, end - from);
    }
    at = end + checksumBytes;
  }
}

/** Follows the sequences of a block: literals, and a match that repeats earlier bytes; the last has no match. */
function followBlock(bytes: Buffer, from: number, end: number, unpacked?: Unpacked): number {
  let sum = 0;
  let at = from;
  while (at < end) {
    const token = bytes[at++] ?? 0;
    let literals = token >> 4;
    if (literals === LONG) {
      const more = lengthAt(bytes, at);
      literals += more;
      at += bytesOfLength(more);
    }
    sum += literals;
    unpacked?.append(bytes, at, literals);
    at += literals;
    if (at >= end) break;
    const distance = (bytes[at] ?? 0) | (bytes[at + 1] ?? 0) << 8;
    at += DISTANCE_BYTES;
    let match = (token & LONG) + SHORTEST_MATCH;
    if (match === LONG + SHORTEST_MATCH) {
      const more = lengthAt(bytes, at);
      match += more;
      at += bytesOfLength(more);
    }
    sum += match;
    unpacked?.repeat(distance, match);
  }
  if (at > end) throw new RangeError("a sequence of lz4 ends behind its block");
  return sum;
}

/** What a long length has more: the sum of the bytes up to the first that is not 255. */
function lengthAt(bytes: Buffer, at: number): number {
  let length = 0;
  let byte: number;
  do {
    byte = bytes[at++] ?? 0;
    length += byte;
  } while (byte === 255);
  return length;
}

function bytesOfLength(more: number): number {
  return Math.floor(more / 255) + 1;
}
