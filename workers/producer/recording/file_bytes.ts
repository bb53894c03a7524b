/** The bytes of a recording: a file or a pipe, decompressed, as UTF-8 without a byte order mark. */
import { Buffer } from "node:buffer";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { invalid } from "./row.ts";

/** Deno opens none of these paths without all permissions; the stream itself needs none. */
const STANDARD_INPUT = /^(-|\/dev\/stdin|\/dev\/fd\/0|\/proc\/self\/fd\/0)$/;
/** Read at a time; its rows are the piece that is handed on. */
const CHUNK_BYTES = 128 * 1024;

const GZIP = [0x1f, 0x8b];
/** Formats that are refused by their name: read as text they would only give a row that is wrong. */
const REFUSED: readonly [name: string, magic: readonly number[]][] = [
  ["zip", [0x50, 0x4b, 0x03, 0x04]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["Parquet", [0x50, 0x41, 0x52, 0x31]],
];
const BYTE_ORDER_MARKS: typeof REFUSED = [
  ["utf-8", [0xef, 0xbb, 0xbf]],
  ["utf-16le", [0xff, 0xfe]],
  ["utf-16be", [0xfe, 0xff]],
];

/** Whether it can be opened and read a second time: a pipe gives its bytes once. */
export async function canReadTwice(path: string): Promise<boolean> {
  if (STANDARD_INPUT.test(path)) return false;
  // What cannot be looked at cannot be opened either, and that says why.
  const found = await Deno.stat(path).catch(() => undefined);
  return found?.isFifo !== true && found?.isCharDevice !== true && found?.isSocket !== true;
}

/** Opens the file, or takes standard input for `-`; each piece is in memory of its own. */
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

/** @throws PipelineError for a format that is not read */
async function* decode(path: string, source: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  let head = Buffer.alloc(0);
  // As many as the longest magic has; the first read of a pipe may give a single one.
  while (head.length < 5) {
    const { done, value } = await source.next();
    if (done === true) break;
    head = Buffer.concat([head, value]);
  }
  const begins = (magic: readonly number[]) => magic.every((byte, at) => head[at] === byte);
  const refused = REFUSED.find(([, magic]) => begins(magic));
  if (refused !== undefined) {
    throw invalid(`Cannot read ${path}: is ${refused[0]}, expected text, plain or compressed by gzip`);
  }
  if (begins(GZIP)) return yield* decode(path, gunzip(following<Uint8Array>(head, source)));
  const [encoding, mark = []] = BYTE_ORDER_MARKS.find(([, mark]) => begins(mark)) ?? [];
  const text = following<Uint8Array>(head.subarray(mark.length), source);
  yield* encoding === undefined || encoding === "utf-8" ? text : toUtf8(text, encoding);
}

/** What was taken off the beginning, and the rest. */
export async function* following<T>(first: T, rest: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  yield first;
  yield* rest;
}

/** Not by `DecompressionStream`, which refuses a file of several members, as `cat a.gz b.gz` makes it. */
async function* gunzip(source: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  const unzip = createGunzip({ chunkSize: CHUNK_BYTES });
  // An error destroys the stream, and is thrown where it is read.
  pipeline(source, unzip).catch(() => {});
  yield* unzip;
}

/** @throws TypeError for what is no text in this encoding */
async function* toUtf8(source: AsyncGenerator<Uint8Array>, encoding: string): AsyncGenerator<Uint8Array> {
  const decoder = new TextDecoder(encoding, { fatal: true, ignoreBOM: true });
  const encoder = new TextEncoder();
  for await (const bytes of source) yield encoder.encode(decoder.decode(bytes, { stream: true }));
  yield encoder.encode(decoder.decode());
}
