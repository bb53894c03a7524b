/** Reads the bytes of a recording (the file of `produce --file`), decompressed, as UTF-8 without a byte order mark. */
import { Buffer } from "node:buffer";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { invalid } from "./row.ts";

/** Deno requires all permissions to open these paths, but none to read `Deno.stdin`. */
const STANDARD_INPUT = /^(-|\/dev\/stdin|\/dev\/fd\/0|\/proc\/self\/fd\/0)$/;
const CHUNK_BYTES = 128 * 1024;

type Signature = readonly [name: string, bytes: readonly number[]];

/** The first read of a pipe may return only 1 byte. */
const MAX_SIGNATURE_BYTES = 5;
const GZIP: Signature = ["gzip", [0x1f, 0x8b]];
/** The error names these formats. Read as text, such a file would only give an error about a bad row. */
const REFUSED_FORMATS: readonly Signature[] = [
  ["zip", [0x50, 0x4b, 0x03, 0x04]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["Parquet", [0x50, 0x41, 0x52, 0x31]],
];
const BYTE_ORDER_MARKS: readonly Signature[] = [
  ["utf-8", [0xef, 0xbb, 0xbf]],
  ["utf-16le", [0xff, 0xfe]],
  ["utf-16be", [0xfe, 0xff]],
];

export async function canReadTwice(path: string): Promise<boolean> {
  if (STANDARD_INPUT.test(path)) return false;
  // A path that cannot be examined cannot be opened either, and the error of `open` gives the reason.
  const found = await Deno.stat(path).catch(() => undefined);
  return found?.isFifo !== true && found?.isCharDevice !== true && found?.isSocket !== true;
}

export async function* readBytes(path: string): AsyncGenerator<Uint8Array> {
  using file = STANDARD_INPUT.test(path) ? undefined : await Deno.open(path);
  yield* decode(path, chunksOf(file ?? Deno.stdin));
}

async function* chunksOf(source: Pick<Deno.FsFile, "read">): AsyncGenerator<Uint8Array> {
  for (;;) {
    const bytes = new Uint8Array(CHUNK_BYTES);
    const length = await source.read(bytes);
    if (length === null) return;
    yield bytes.subarray(0, length);
  }
}

async function* decode(path: string, source: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  let head = Buffer.alloc(0);
  while (head.length < MAX_SIGNATURE_BYTES) {
    const { done, value } = await source.next();
    if (done === true) break;
    head = Buffer.concat([head, value]);
  }
  const startsWith = ([, bytes]: Signature) => bytes.every((byte, index) => head[index] === byte);
  const refused = REFUSED_FORMATS.find(startsWith);
  if (refused !== undefined) {
    const [format] = refused;
    throw invalid(
      `Cannot read ${path}: the file is in ${format} format, expected text or gzip-compressed text`,
    );
  }
  if (startsWith(GZIP)) {
    // Decompressed bytes are checked again, because they can begin with a byte order mark.
    yield* decode(path, gunzip(prepend<Uint8Array>(head, source)));
    return;
  }
  const [encoding, mark] = BYTE_ORDER_MARKS.find(startsWith) ?? ["utf-8", []];
  const bytes = prepend<Uint8Array>(head.subarray(mark.length), source);
  if (encoding === "utf-8") yield* bytes;
  else yield* toUtf8(bytes, encoding);
}

export async function* prepend<T>(first: T, rest: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  yield first;
  yield* rest;
}

// Does not use `DecompressionStream`, which refuses a file with several members, such as the output of `cat a.gz b.gz`.
async function* gunzip(source: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  const unzip = createGunzip({ chunkSize: CHUNK_BYTES });
  // An error destroys `unzip`, and the loop that reads from `unzip` throws the error.
  pipeline(source, unzip).catch(() => {});
  yield* unzip;
}

async function* toUtf8(source: AsyncGenerator<Uint8Array>, encoding: string): AsyncGenerator<Uint8Array> {
  const decoder = new TextDecoder(encoding, { fatal: true, ignoreBOM: true });
  const encoder = new TextEncoder();
  for await (const bytes of source) yield encoder.encode(decoder.decode(bytes, { stream: true }));
  yield encoder.encode(decoder.decode());
}
