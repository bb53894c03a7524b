/**
 * LZ4's frames, which take no trust: how long one will be is counted before there is room made for it. Formats:
 * https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md, lz4_Block_format.md beside it. The checksums in a frame
 * are not looked at, as in the Java client: the record batch has one over all of it.
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

/** A part of a frame, as it is or compressed. */
interface Block {
  readonly bytes: Buffer;
  readonly isPlain: boolean;
}

/**
 * Of one frame, as a batch has one. What the frame says of itself is no limit for what its blocks hold, so these are
 * followed.
 *
 * @throws RangeError for bytes that are no frame
 */
export function lz4Length(frame: Buffer): number {
  return lengthOf(blocksOf(frame));
}

/**
 * @param most bytes it may become
 * @returns undefined when it would become more
 * @throws RangeError for bytes that are no frame
 */
export function unpackLz4(frame: Buffer, most: number): Buffer | undefined {
  const blocks = blocksOf(frame);
  const length = lengthOf(blocks);
  if (length > most) return undefined;
  const unpacked = new Unpacked(length);
  for (const { bytes, isPlain } of blocks) {
    if (isPlain) unpacked.append(bytes, 0, bytes.length);
    else unpackBlock(bytes, unpacked);
  }
  return unpacked.finish();
}

function blocksOf(frame: Buffer): Block[] {
  if (frame.length < 7 || frame.readUInt32LE(0) !== MAGIC) throw new RangeError("this is no frame of lz4");
  const flags = frame.readUInt8(4);
  const checksumBytes = (flags & HAS_BLOCK_CHECKSUMS) === 0 ? 0 : 4;
  let at = 7;
  if ((flags & HAS_CONTENT_SIZE) !== 0) at += 8;
  if ((flags & HAS_DICTIONARY) !== 0) at += 4;
  const blocks: Block[] = [];
  for (;;) {
    if (at + 4 > frame.length) throw new RangeError("a frame of lz4 ends before its end mark");
    const size = frame.readUInt32LE(at);
    if (size === 0) return blocks;
    const from = at + 4;
    const end = from + size % IS_PLAIN;
    if (end > frame.length) throw new RangeError("a block of lz4 ends behind its frame");
    blocks.push({ bytes: frame.subarray(from, end), isPlain: size >= IS_PLAIN });
    at = end + checksumBytes;
  }
}

function lengthOf(blocks: readonly Block[]): number {
  return blocks.reduce((sum, { bytes, isPlain }) => sum + (isPlain ? bytes.length : blockLength(bytes)), 0);
}

/** Follows the sequences of a block: literals, and a match that repeats earlier bytes; the last has no match. */
function blockLength(bytes: Buffer): number {
  let sum = 0;
  let at = 0;
  const lengthOf = (short: number): number => {
    let length = short;
    for (let byte = short === LONG ? 255 : 0; byte === 255; length += byte) byte = bytes[at++] ?? 0;
    return length;
  };
  while (at < bytes.length) {
    const token = bytes[at++] ?? 0;
    const literals = lengthOf(token >> 4);
    sum += literals;
    at += literals;
    if (at >= bytes.length) break;
    at += DISTANCE_BYTES;
    sum += lengthOf(token & LONG) + SHORTEST_MATCH;
  }
  return sum;
}

/** The same way again, and this time the bytes are put together. */
function unpackBlock(bytes: Buffer, unpacked: Unpacked): void {
  let at = 0;
  const lengthOf = (short: number): number => {
    let length = short;
    for (let byte = short === LONG ? 255 : 0; byte === 255; length += byte) byte = bytes[at++] ?? 0;
    return length;
  };
  while (at < bytes.length) {
    const token = bytes[at++] ?? 0;
    const literals = lengthOf(token >> 4);
    if (literals > 0) unpacked.append(bytes, at, literals);
    at += literals;
    if (at >= bytes.length) break;
    const distance = (bytes[at] ?? 0) | (bytes[at + 1] ?? 0) << 8;
    at += DISTANCE_BYTES;
    unpacked.repeat(distance, lengthOf(token & LONG) + SHORTEST_MATCH);
  }
}
