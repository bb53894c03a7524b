/** The bytes of a recording, decompressed, as UTF-8 without a byte order mark. */
import { Buffer } from "node:buffer";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { invalid } from "./row.ts";

/** Deno requires all permissions to open these paths, but none to read `Deno.stdin`. */
const STANDARD_INPUT = /^(-|\/dev\/stdin|\/dev\/fd\/0|\/proc\/self\/fd\/0)$/;
const CHUNK_BYTES = 128 * 1024;

const GZIP = [0x1f, 0x8b];
/** Refused by name: read as text, they would only give a bad row. */
const REFUSED_FORMATS: readonly [name: string, magic: readonly number[]][] = [
  ["zip", [0x50, 0x4b, 0x03, 0x04]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["Parquet", [0x50, 0x41, 0x52, 0x31]],
];
const BYTE_ORDER_MARKS: typeof REFUSED_FORMATS = [
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
  // The longest magic number has 5 bytes, and the first read of a pipe may return only 1.
  while (head.length < 5) {
    const { done, value } = await source.next();
    if (done === true) break;
    head = Buffer.concat([head, value]);
  }
  const startsWith = (magic: readonly number[]) => magic.every((byte, at) => head[at] === byte);
  const refused = REFUSED_FORMATS.find(([, magic]) => startsWith(magic));
  if (refused !== undefined) {
    throw invalid(`Cannot read ${path}: is ${refused[0]}, expected text, plain or compressed by gzip`);
  }
  if (startsWith(GZIP)) return yield* decode(path, gunzip(prepend<Uint8Array>(head, source)));
  const [encoding, mark = []] = BYTE_ORDER_MARKS.find(([, mark]) => startsWith(mark)) ?? [];
  const text = prepend<Uint8Array>(head.subarray(mark.length), source);
  yield* encoding === undefined || encoding === "utf-8" ? text : toUtf8(text, encoding);
}

export async function* prepend<T>(first: T, rest: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  yield first;
  yield* rest;
}

// Not by `DecompressionStream`, which refuses a file with several members, such as the output of `cat a.gz b.gz`.
async function* gunzip(source: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  const unzip = createGunzip({ chunkSize: CHUNK_BYTES });
  // An error destroys `unzip`, and its reader throws it.
  pipeline(source, unzip).catch(() => {});
  yield* unzip;
}

async function* toUtf8(source: AsyncGenerator<Uint8Array>, encoding: string): AsyncGenerator<Uint8Array> {
  const decoder = new TextDecoder(encoding, { fatal: true, ignoreBOM: true });
  const encoder = new TextEncoder();
  for await (const bytes of source) yield encoder.encode(decoder.decode(bytes, { stream: true }));
  yield encoder.encode(decoder.decode());
}
