import { Buffer } from "node:buffer";

// These functions write valid lz4 and snappy that no library writes: a block for each byte, or many empty blocks.
const LZ4_HEADER = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
const END_MARK = Buffer.alloc(4);
// Kafka's Java client writes this header.
const SNAPPY_HEADER = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]);

/** Five bytes per byte: the size of a block, marked as uncompressed, and the byte. */
export function lz4OfTinyBlocks(plain: Buffer): Buffer {
  return Buffer.concat([LZ4_HEADER, blockPerByte(plain, [1, 0, 0, 0x80, 0], 4), END_MARK]);
}

/** Six bytes per byte: the size of a block, a token for one literal, and the byte. */
export function lz4OfTinyLiterals(plain: Buffer): Buffer {
  return Buffer.concat([LZ4_HEADER, blockPerByte(plain, [2, 0, 0, 0, 0x10, 0], 5), END_MARK]);
}

export function lz4OfEmptyBlocks(blocks: number): Buffer {
  return Buffer.concat([LZ4_HEADER, Buffer.alloc(4 * blocks, Buffer.from([0, 0, 0, 0x80])), END_MARK]);
}

/** Seven bytes per byte: the size of a block, its uncompressed length, a tag for one literal, and the byte. */
export function snappyOfTinyBlocks(plain: Buffer): Buffer {
  return Buffer.concat([SNAPPY_HEADER, blockPerByte(plain, [0, 0, 0, 3, 1, 0, 0], 6)]);
}

export function snappyOfEmptyBlocks(blocks: number): Buffer {
  return Buffer.concat([SNAPPY_HEADER, Buffer.alloc(4 * blocks)]);
}

/** @param at position of the byte in its block */
function blockPerByte(plain: Buffer, block: readonly number[], at: number): Buffer {
  const blocks = Buffer.alloc(plain.length * block.length, Buffer.from(block));
  plain.forEach((byte, index) => blocks[index * block.length + at] = byte);
  return blocks;
}
