/**
 * The records of a compressed batch, in memory that is bounded before it is taken, whatever the bytes claim. The client's
 * lz4 and snappy know no limit, never give back what they grew to, and leave their memory behind when bytes are damaged.
 */
import { Buffer } from "node:buffer";
import { gunzipSync, zstdDecompressSync } from "node:zlib";

const CODECS: Readonly<Record<number, (bytes: Buffer, most: number) => Buffer | undefined>> = {
  1: (bytes, most) => inflate(gunzipSync, bytes, most),
  2: (bytes, most) => unpackBlocks(followSnappy, bytes, most),
  3: (bytes, most) => unpackBlocks(followLz4, bytes, most),
  4: (bytes, most) => inflate(zstdDecompressSync, bytes, most),
};

/**
 * @param codec its number in the header of a batch
 * @returns undefined when it would become more than `most` bytes
 * @throws an error for bytes that the codec cannot read
 */
export function unpack(codec: number, bytes: Buffer, most: number): Buffer | undefined {
  const run = CODECS[codec];
  if (run === undefined) throw new RangeError(`no codec has the number ${codec}`);
  return run(bytes, most);
}

/** Records become six to twenty-four times what they were, rarely more. */
const USUAL_GROWTH = 24;
const LEAST_PIECE_BYTES = 16 * 1024;
/** What comes may keep a piece alive that is larger than itself by so many times. */
const MOST_SLACK = 4;

/** The runtime's pieces are put together in the end, which takes twice the memory: so that one is usually enough. */
function inflate(run: typeof zstdDecompressSync, bytes: Buffer, most: number): Buffer | undefined {
  const chunkSize = Math.max(LEAST_PIECE_BYTES, Math.min(most, USUAL_GROWTH * bytes.length) + 1);
  try {
    const unpacked = run(bytes, { maxOutputLength: most, chunkSize });
    return unpacked.buffer.byteLength > unpacked.length * MOST_SLACK ? Buffer.from(unpacked) : unpacked;
  } catch (error) {
    if ((error as { code?: unknown }).code === "ERR_BUFFER_TOO_LARGE") return undefined;
    throw error;
  }
}

/**
 * @param follow puts blocks into `unpacked`, or only counts the bytes that they become, and throws a RangeError for what are
 *   none of the codec. There may be one for each byte, so that nothing is made for a block: it is a place in the bytes.
 */
function unpackBlocks(follow: typeof followLz4, bytes: Buffer, most: number): Buffer | undefined {
  const length = follow(bytes);
  if (length > most) return undefined;
  // Not of the pool, which would keep the memory of others.
  const unpacked = new Unpacked(Buffer.allocUnsafeSlow(length));
  follow(bytes, unpacked);
  if (unpacked.at !== length) throw new RangeError(`${unpacked.at} bytes came of ${length}`);
  return unpacked.bytes;
}

const LZ4_MAGIC = 0x184d2204;
const HAS_BLOCK_CHECKSUMS = 1 << 4;
const HAS_CONTENT_SIZE = 1 << 3;
const HAS_DICTIONARY = 1 << 0;
/** The bit above them, the sign, says that the block is plain. */
const LENGTH_BITS = 0x7fff_ffff;
/** Of four bits: goes on in the bytes behind it, up to the first that is not 255. */
const LONG_LENGTH = 15;
const SHORTEST_MATCH = 4;

/**
 * One frame, as a batch has one: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md. What it says of its length
 * limits nothing. Its checksums are not looked at, as in the Java client: the record batch has one over all of it.
 */
function followLz4(frame: Buffer, unpacked?: Unpacked): number {
  if (frame.length < 7 || frame.readUInt32LE(0) !== LZ4_MAGIC) {
    throw new RangeError("this is no frame of lz4");
  }
  const flags = frame.readUInt8(4);
  const checksumBytes = (flags & HAS_BLOCK_CHECKSUMS) === 0 ? 0 : 4;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  let at = 7 + ((flags & HAS_CONTENT_SIZE) === 0 ? 0 : 8) + ((flags & HAS_DICTIONARY) === 0 ? 0 : 4);
  for (let sum = 0;;) {
    if (at + 4 > frame.length) throw new RangeError("a frame of lz4 ends before its end mark");
    // Signed, so that it stays a small integer: as a double each block would cost memory.
    const size = view.getInt32(at, true);
    if (size === 0) return sum;
    const from = at + 4;
    const end = from + (size & LENGTH_BITS);
    if (end > frame.length) throw new RangeError("a block of lz4 ends behind its frame");
    if (size > 0) sum += followLz4Block(frame, from, end, unpacked);
    else {
      sum += end - from;
      unpacked?.append(frame, from, end - from);
    }
    at = end + checksumBytes;
  }
}

/** Follows the sequences of a block: literals, and a match that repeats earlier bytes; the last has no match. */
function followLz4Block(bytes: Buffer, from: number, end: number, unpacked?: Unpacked): number {
  let sum = 0;
  let at = from;
  while (at < end) {
    const token = bytes[at++] ?? 0;
    let literals = token >> 4;
    if (literals === LONG_LENGTH) {
      for (; bytes[at] === 255; at++) literals += 255;
      literals += bytes[at++] ?? 0;
    }
    sum += literals;
    unpacked?.append(bytes, at, literals);
    at += literals;
    if (at >= end) break;
    const distance = (bytes[at] ?? 0) | (bytes[at + 1] ?? 0) << 8;
    at += 2;
    let match = (token & LONG_LENGTH) + SHORTEST_MATCH;
    if (match === LONG_LENGTH + SHORTEST_MATCH) {
      for (; bytes[at] === 255; at++) match += 255;
      match += bytes[at++] ?? 0;
    }
    sum += match;
    unpacked?.repeat(distance, match);
  }
  if (at > end) throw new RangeError("a sequence of lz4 ends behind its block");
  return sum;
}

/** The Java client puts blocks into a wrapping of its own, each behind its length. */
const SNAPPY_WRAPPED = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const SNAPPY_WRAPPING_BYTES = 16;
/** Snappy's densest element makes 64 bytes of three. */
const MOST_OF_A_BYTE = 22;
/** Lengths of literals from here on are in the bytes behind, one byte for the first of these. */
const LONG_LITERALS = 60;

function followSnappy(bytes: Buffer, unpacked?: Unpacked): number {
  if (!bytes.subarray(0, SNAPPY_WRAPPED.length).equals(SNAPPY_WRAPPED)) {
    return followSnappyBlock(bytes, 0, bytes.length, unpacked);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let sum = 0;
  for (let at = SNAPPY_WRAPPING_BYTES; at < bytes.length;) {
    const from = at + 4;
    const end = from <= bytes.length ? from + view.getUint32(at) : Infinity;
    if (end > bytes.length) throw new RangeError("a block of snappy ends behind its batch");
    sum += followSnappyBlock(bytes, from, end, unpacked);
    at = end;
  }
  return sum;
}

/** A block states its length: https://github.com/google/snappy/blob/main/format_description.txt */
function followSnappyBlock(bytes: Buffer, from: number, end: number, unpacked?: Unpacked): number {
  let at = from;
  let length = 0;
  for (let unit = 1, byte = 0x80; byte >= 0x80 && at < Math.min(from + 5, end); unit *= 128) {
    byte = bytes[at++] ?? 0;
    length += (byte & 0x7f) * unit;
  }
  if (length > (end - from) * MOST_OF_A_BYTE) {
    throw new RangeError(`${end - from} bytes of snappy cannot stand for ${length}`);
  }
  if (unpacked === undefined) return length;
  while (at < end) {
    const tag = bytes[at++] ?? 0;
    // The lowest two bits are its kind: literals, and repeats of a distance of eleven, 16 and 32 bits.
    const kind = tag & 0b11;
    if (kind === 0) {
      let literals = (tag >> 2) + 1;
      if (literals > LONG_LITERALS) {
        const lengthBytes = literals - LONG_LITERALS;
        literals = littleEndian(bytes, at, lengthBytes) + 1;
        at += lengthBytes;
      }
      unpacked.append(bytes, at, literals);
      at += literals;
    } else if (kind === 1) {
      unpacked.repeat((tag >> 5) << 8 | (bytes[at++] ?? 0), (tag >> 2 & 0b111) + 4);
    } else {
      const distanceBytes = kind === 2 ? 2 : 4;
      unpacked.repeat(littleEndian(bytes, at, distanceBytes), (tag >> 2) + 1);
      at += distanceBytes;
    }
  }
  if (at > end) throw new RangeError("an element of snappy ends behind its block");
  return length;
}

function littleEndian(bytes: Buffer, at: number, count: number): number {
  let value = 0;
  for (let index = count - 1; index >= 0; index--) value = value * 256 + (bytes[at + index] ?? 0);
  return value;
}

/** From this length on a call to copy many bytes takes less time than a loop. */
const LONG = 64;

/** What lz4 and snappy become: bytes that follow each other, some of them copied, some repeats of what came before. */
class Unpacked {
  at = 0;

  /** @param bytes as many as it will be, exactly */
  constructor(readonly bytes: Buffer) {}

  /** @throws RangeError when it has no room for so many, or the source ends before */
  append(source: Buffer, from: number, length: number): void {
    const { bytes, at } = this;
    const end = at + length;
    if (end > bytes.length || from + length > source.length) throw new RangeError("literals reach too far");
    if (length >= LONG) source.copy(bytes, at, from, from + length);
    else for (let to = at; to < end;) bytes[to++] = source[from++] ?? 0;
    this.at = end;
  }

  /** @throws RangeError when it has no room for so many, or does not reach back so far */
  repeat(distance: number, length: number): void {
    const { bytes, at } = this;
    const end = at + length;
    if (end > bytes.length || distance === 0 || distance > at) {
      throw new RangeError("a repeat reaches too far");
    }
    let from = at - distance;
    if (distance === 1 && length >= LONG) bytes.fill(bytes[from] ?? 0, at, end);
    else if (length >= LONG && distance >= length) bytes.copyWithin(at, from, from + length);
    // A repeat may overlap what it makes: then it repeats itself.
    else for (let to = at; to < end;) bytes[to++] = bytes[from++] ?? 0;
    this.at = end;
  }
}
