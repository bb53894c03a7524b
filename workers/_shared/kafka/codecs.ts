/**
 * Decompresses with a memory limit, whatever length the bytes claim. The client's lz4 and snappy have no limit, never shrink
 * their memory, and leak it when bytes are damaged.
 */
import { Buffer } from "node:buffer";
import { gunzipSync, zstdDecompressSync } from "node:zlib";

const CODECS: Readonly<Record<number, (bytes: Buffer, maxBytes: number) => Buffer | undefined>> = {
  1: (bytes, maxBytes) => inflate(gunzipSync, bytes, maxBytes),
  2: (bytes, maxBytes) => unpackBlocks(readSnappy, bytes, maxBytes),
  3: (bytes, maxBytes) => unpackBlocks(readLz4, bytes, maxBytes),
  4: (bytes, maxBytes) => inflate(zstdDecompressSync, bytes, maxBytes),
};

/**
 * @returns undefined if the result would exceed `maxBytes`
 * @throws an error for bytes that the codec cannot read
 */
export function unpack(codec: number, bytes: Buffer, maxBytes: number): Buffer | undefined {
  const run = CODECS[codec];
  if (run === undefined) throw new RangeError(`no codec has the number ${codec}`);
  return run(bytes, maxBytes);
}

/** Decompressed records usually take 6 to 24 times their compressed size. */
const TYPICAL_RATIO = 24;
const MIN_CHUNK_BYTES = 16 * 1024;
/** A result is copied if it keeps more than this many times its own size in memory. */
const MAX_WASTE_RATIO = 4;

function inflate(run: typeof zstdDecompressSync, bytes: Buffer, maxBytes: number): Buffer | undefined {
  // zlib joins its chunks at the end, which takes twice the memory. Usually one chunk is enough.
  const chunkSize = Math.max(MIN_CHUNK_BYTES, Math.min(maxBytes, TYPICAL_RATIO * bytes.length) + 1);
  try {
    const output = run(bytes, { maxOutputLength: maxBytes, chunkSize });
    return output.buffer.byteLength > output.length * MAX_WASTE_RATIO ? Buffer.from(output) : output;
  } catch (error) {
    if ((error as { code?: unknown }).code === "ERR_BUFFER_TOO_LARGE") return undefined;
    throw error;
  }
}

/** The first read only counts the length, so that memory is allocated once and within the limit. */
function unpackBlocks(read: typeof readLz4, bytes: Buffer, maxBytes: number): Buffer | undefined {
  const length = read(bytes);
  if (length > maxBytes) return undefined;
  // Not allocUnsafe: a slice of Node's pool would keep the whole pool alive.
  const output = new Output(Buffer.allocUnsafeSlow(length));
  read(bytes, output);
  if (output.pos !== length) {
    throw new RangeError(`${output.pos} bytes were decompressed, expected ${length}`);
  }
  return output.bytes;
}

const LZ4_MAGIC = 0x184d2204;
/** Magic number, flags, maximum block size and checksum of the header. */
const LZ4_HEADER_BYTES = 7;
const HAS_BLOCK_CHECKSUMS = 1 << 4;
const HAS_CONTENT_SIZE = 1 << 3;
const HAS_DICTIONARY = 1 << 0;
/** The sign bit of a block's size says that the block is not compressed. */
const LENGTH_BITS = 0x7fff_ffff;
/** This length continues in the next bytes, up to and including the first that is not 255. */
const LONG_LENGTH = 15;
const SHORTEST_MATCH = 4;

// https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
// Ignores the frame's checksums, as the Java client does: the record batch has its own.
function readLz4(frame: Buffer, output?: Output): number {
  if (frame.length < LZ4_HEADER_BYTES || frame.readUInt32LE(0) !== LZ4_MAGIC) {
    throw new RangeError("this is not an lz4 frame");
  }
  const flags = frame.readUInt8(4);
  const checksumBytes = (flags & HAS_BLOCK_CHECKSUMS) === 0 ? 0 : 4;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const optionalBytes = ((flags & HAS_CONTENT_SIZE) === 0 ? 0 : 8) + ((flags & HAS_DICTIONARY) === 0 ? 0 : 4);
  let pos = LZ4_HEADER_BYTES + optionalBytes;
  for (let sum = 0;;) {
    if (pos + 4 > frame.length) throw new RangeError("an lz4 frame has no end mark");
    // Signed, so that it is a small integer for V8: a double would cost memory for each block.
    const size = view.getInt32(pos, true);
    if (size === 0) return sum;
    const from = pos + 4;
    const end = from + (size & LENGTH_BITS);
    if (end > frame.length) throw new RangeError("an lz4 block ends beyond its frame");
    if (size > 0) sum += readLz4Block(frame, from, end, output);
    else {
      sum += end - from;
      output?.append(frame, from, end - from);
    }
    pos = end + checksumBytes;
  }
}

function readLz4Block(bytes: Buffer, from: number, end: number, output?: Output): number {
  let sum = 0;
  let pos = from;
  while (pos < end) {
    const token = bytes[pos++] ?? 0;
    let literals = token >> 4;
    if (literals === LONG_LENGTH) {
      for (; bytes[pos] === 255; pos++) literals += 255;
      literals += bytes[pos++] ?? 0;
    }
    sum += literals;
    output?.append(bytes, pos, literals);
    pos += literals;
    // The last sequence has no match.
    if (pos >= end) break;
    const distance = (bytes[pos] ?? 0) | (bytes[pos + 1] ?? 0) << 8;
    pos += 2;
    let match = (token & LONG_LENGTH) + SHORTEST_MATCH;
    if (match === LONG_LENGTH + SHORTEST_MATCH) {
      for (; bytes[pos] === 255; pos++) match += 255;
      match += bytes[pos++] ?? 0;
    }
    sum += match;
    output?.repeat(distance, match);
  }
  if (pos > end) throw new RangeError("an lz4 sequence ends beyond its block");
  return sum;
}

/** The Java client wraps snappy blocks in its own format, each block after its length. */
const JAVA_SNAPPY_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const JAVA_SNAPPY_HEADER_BYTES = 16;
/** The densest element makes 64 bytes from 3. */
const MAX_SNAPPY_RATIO = 22;
/** Longer literals have their length in the following 1 to 4 bytes. */
const LONG_LITERAL = 60;

function readSnappy(bytes: Buffer, output?: Output): number {
  if (!bytes.subarray(0, JAVA_SNAPPY_MAGIC.length).equals(JAVA_SNAPPY_MAGIC)) {
    return readSnappyBlock(bytes, 0, bytes.length, output);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let sum = 0;
  for (let pos = JAVA_SNAPPY_HEADER_BYTES; pos < bytes.length;) {
    const from = pos + 4;
    const end = from <= bytes.length ? from + view.getUint32(pos) : Infinity;
    if (end > bytes.length) throw new RangeError("a snappy block ends beyond its batch");
    sum += readSnappyBlock(bytes, from, end, output);
    pos = end;
  }
  return sum;
}

/** https://github.com/google/snappy/blob/main/format_description.txt */
function readSnappyBlock(bytes: Buffer, from: number, end: number, output?: Output): number {
  let pos = from;
  let length = 0;
  for (let unit = 1, byte = 0x80; byte >= 0x80 && pos < Math.min(from + 5, end); unit *= 128) {
    byte = bytes[pos++] ?? 0;
    length += (byte & 0x7f) * unit;
  }
  if (length > (end - from) * MAX_SNAPPY_RATIO) {
    throw new RangeError(`${end - from} bytes of snappy cannot stand for ${length}`);
  }
  if (output === undefined) return length;
  while (pos < end) {
    const tag = bytes[pos++] ?? 0;
    // 0 is a literal; 1, 2 and 3 are copies with an offset of 11, 16 and 32 bits.
    const kind = tag & 0b11;
    if (kind === 0) {
      let literals = (tag >> 2) + 1;
      if (literals > LONG_LITERAL) {
        const lengthBytes = literals - LONG_LITERAL;
        literals = littleEndian(bytes, pos, lengthBytes) + 1;
        pos += lengthBytes;
      }
      output.append(bytes, pos, literals);
      pos += literals;
    } else if (kind === 1) {
      output.repeat((tag >> 5) << 8 | (bytes[pos++] ?? 0), (tag >> 2 & 0b111) + 4);
    } else {
      const distanceBytes = kind === 2 ? 2 : 4;
      output.repeat(littleEndian(bytes, pos, distanceBytes), (tag >> 2) + 1);
      pos += distanceBytes;
    }
  }
  if (pos > end) throw new RangeError("a snappy element ends beyond its block");
  return length;
}

function littleEndian(bytes: Buffer, pos: number, count: number): number {
  let value = 0;
  for (let index = count - 1; index >= 0; index--) value = value * 256 + (bytes[pos + index] ?? 0);
  return value;
}

/** From this length on, a native copy is faster than a loop. */
const BULK_COPY_BYTES = 64;

class Output {
  pos = 0;

  /** @param bytes exactly as long as the result */
  constructor(readonly bytes: Buffer) {}

  append(source: Buffer, from: number, length: number): void {
    const { bytes, pos } = this;
    const end = pos + length;
    if (end > bytes.length || from + length > source.length) throw new RangeError("literals reach too far");
    if (length >= BULK_COPY_BYTES) source.copy(bytes, pos, from, from + length);
    else for (let to = pos; to < end;) bytes[to++] = source[from++] ?? 0;
    this.pos = end;
  }

  repeat(distance: number, length: number): void {
    const { bytes, pos } = this;
    const end = pos + length;
    if (end > bytes.length || distance === 0 || distance > pos) {
      throw new RangeError("a copy reaches too far");
    }
    let from = pos - distance;
    if (distance === 1 && length >= BULK_COPY_BYTES) bytes.fill(bytes[from] ?? 0, pos, end);
    else if (length >= BULK_COPY_BYTES && distance >= length) bytes.copyWithin(pos, from, from + length);
    // A copy may overlap its own output, and then repeats it.
    else for (let to = pos; to < end;) bytes[to++] = bytes[from++] ?? 0;
    this.pos = end;
  }
}
