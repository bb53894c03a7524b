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

/** Kinds of elements, the lowest two bits of each. */
const LITERALS = 0;
const NEAR_REPEAT = 1;
const REPEAT = 2;
/** Lengths of literals from here on are in the bytes behind, one byte for the first of these. */
const LONG_LITERALS = 60;

/** @throws RangeError for a length that so few bytes cannot stand for */
export function snappyLength(bytes: Buffer): number {
  return blocksOf(bytes).reduce((sum, block) => sum + statedLength(block).length, 0);
}

/**
 * @param most bytes it may become
 * @returns undefined when it would become more
 * @throws RangeError for bytes that are none of snappy
 */
export function unpackSnappy(bytes: Buffer, most: number): Buffer | undefined {
  const blocks = blocksOf(bytes);
  const lengths = blocks.map((block) => statedLength(block).length);
  const length = lengths.reduce((sum, one) => sum + one, 0);
  if (length > most) return undefined;
  const unpacked = new Unpacked(length);
  for (const block of blocks) unpackBlock(block, unpacked);
  return unpacked.finish();
}

function blocksOf(bytes: Buffer): Buffer[] {
  if (!bytes.subarray(0, WRAPPED.length).equals(WRAPPED)) return [bytes];
  const blocks: Buffer[] = [];
  for (let at = WRAPPING_BYTES; at < bytes.length;) {
    const from = at + 4;
    const end = from <= bytes.length ? from + bytes.readUInt32BE(at) : Infinity;
    if (end > bytes.length) throw new RangeError("a block of snappy ends behind its batch");
    blocks.push(bytes.subarray(from, end));
    at = end;
  }
  return blocks;
}

/** A block begins with it. @returns also how many bytes it took to say so */
function statedLength(block: Buffer): { readonly length: number; readonly bytes: number } {
  let length = 0;
  let at = 0;
  for (let unit = 1; unit <= 2 ** 28; unit *= 128) {
    const byte = block[at++] ?? 0;
    length += (byte & 0x7f) * unit;
    if (byte < 0x80) break;
  }
  if (length > block.length * MOST_OF_A_BYTE) {
    throw new RangeError(`${block.length} bytes of snappy cannot stand for ${length}`);
  }
  return { length, bytes: at };
}

function unpackBlock(block: Buffer, unpacked: Unpacked): void {
  for (let at = statedLength(block).bytes; at < block.length;) {
    const tag = block[at++] ?? 0;
    const kind = tag & 0b11;
    if (kind === LITERALS) {
      let length = (tag >> 2) + 1;
      if (length > LONG_LITERALS) {
        const bytes = length - LONG_LITERALS;
        length = littleEndian(block, at, bytes) + 1;
        at += bytes;
      }
      unpacked.append(block, at, length);
      at += length;
    } else if (kind === NEAR_REPEAT) {
      unpacked.repeat((tag >> 5) << 8 | (block[at++] ?? 0), (tag >> 2 & 0b111) + 4);
    } else {
      const bytes = kind === REPEAT ? 2 : 4;
      unpacked.repeat(littleEndian(block, at, bytes), (tag >> 2) + 1);
      at += bytes;
    }
  }
}

function littleEndian(block: Buffer, at: number, bytes: number): number {
  let value = 0;
  for (let index = bytes - 1; index >= 0; index--) value = value * 256 + (block[at + index] ?? 0);
  return value;
}
