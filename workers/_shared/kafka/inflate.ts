/**
 * gzip and zstd, as the runtime reads them. It puts together what comes in pieces, which takes twice the memory and leaves
 * half of it to the garbage collector; so it is given one piece that is large enough. How large is stated by gzip always,
 * by zstd sometimes; what they state is believed no further. Formats: RFC 1952, RFC 8878.
 */
import { Buffer } from "node:buffer";
import { gunzipSync, zstdDecompressSync } from "node:zlib";

const LENGTH_BYTES_OF_GZIP = 4;
const ZSTD_FRAME = 0xfd2fb528;
/** Where nothing is stated: records become six to twenty-four times what they were, rarely more. What does not fit costs a try. */
const USUAL_GROWTH = [24, 192] as const;
const LEAST_GUESS_BYTES = 16 * 1024;
/** A byte more than is needed, or another piece is made for what might come. */
const SPARE_BYTES = 1;
/** The least that the runtime takes. */
const LEAST_PIECE_BYTES = 64;
/** What comes may keep a piece alive that is larger than itself by so many times. */
const MOST_SLACK = 4;

type Options = { readonly maxOutputLength: number; readonly chunkSize: number };

/**
 * @param most bytes it may become
 * @returns undefined when it would become more
 * @throws the runtime's error for bytes that are none of gzip
 */
export function unpackGzip(bytes: Buffer, most: number): Buffer | undefined {
  const stated = bytes.length < LENGTH_BYTES_OF_GZIP
    ? undefined
    : bytes.readUInt32LE(bytes.length - LENGTH_BYTES_OF_GZIP);
  return within(bytes, stated, most, (options) => gunzipSync(bytes, options));
}

/** As {@link unpackGzip}, of zstd. */
export function unpackZstd(bytes: Buffer, most: number): Buffer | undefined {
  return within(bytes, zstdLength(bytes), most, (options) => zstdDecompressSync(bytes, options));
}

function within(
  bytes: Buffer,
  stated: number | undefined,
  most: number,
  unpack: (options: Options) => Buffer,
): Buffer | undefined {
  const guesses = stated === undefined
    ? USUAL_GROWTH.map((growth) => Math.max(LEAST_GUESS_BYTES, growth * bytes.length))
    : [stated];
  for (const piece of [...guesses, most]) {
    if (piece > most) continue;
    try {
      const maxOutputLength = Math.max(1, piece);
      const chunkSize = Math.max(LEAST_PIECE_BYTES, piece + SPARE_BYTES);
      const unpacked = unpack({ maxOutputLength, chunkSize });
      return unpacked.buffer.byteLength > unpacked.length * MOST_SLACK ? Buffer.from(unpacked) : unpacked;
    } catch (error) {
      if ((error as { code?: unknown }).code !== "ERR_BUFFER_TOO_LARGE") throw error;
    }
  }
  return undefined;
}

/** What a frame of zstd states as its length; undefined when it does not. */
function zstdLength(bytes: Buffer): number | undefined {
  if (bytes.length < 18 || bytes.readUInt32LE(0) !== ZSTD_FRAME) return undefined;
  const descriptor = bytes.readUInt8(4);
  const isSingle = (descriptor & 0b10_0000) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 0b11] ?? 0;
  const at = 5 + (isSingle ? 0 : 1) + dictionaryBytes;
  switch (descriptor >> 6) {
    case 0:
      return isSingle ? bytes.readUInt8(at) : undefined;
    case 1:
      return bytes.readUInt16LE(at) + 256;
    case 2:
      return bytes.readUInt32LE(at);
    default:
      return Number(bytes.readBigUInt64LE(at));
  }
}
