/** gzip and zstd in one piece of memory, whatever they state about themselves. */
import { deepStrictEqual, ok, strictEqual, throws } from "node:assert";
import { Buffer } from "node:buffer";
import { createZstdCompress, gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { unpackGzip, unpackZstd } from "../../../../workers/_shared/kafka/inflate.ts";
import { property } from "../../../support/property.ts";

const MEGABYTE = 1024 * 1024;
const MOST = 2 * MEGABYTE;
const MOST_OF_A_BLOCK = 100_000;

/** As Kafka's Java client writes zstd: in a stream, which does not state how long it is. */
async function streamed(plain: Buffer): Promise<Buffer> {
  const compress = createZstdCompress();
  const half = plain.length >> 1;
  compress.write(plain.subarray(0, half));
  compress.end(plain.subarray(half));
  return Buffer.concat(await Array.fromAsync(compress as AsyncIterable<Buffer>));
}

/** A frame that states its length; its blocks are as they were. */
function stating(plain: Buffer): Buffer {
  const head = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0b1010_0000, 0, 0, 0, 0]);
  head.writeUInt32LE(plain.length, 5);
  const parts: Buffer[] = [head];
  for (let at = 0; at < plain.length; at += MOST_OF_A_BLOCK) {
    const block = plain.subarray(at, at + MOST_OF_A_BLOCK);
    const isLast = at + block.length === plain.length ? 1 : 0;
    const size = Buffer.alloc(3);
    size.writeUIntLE(block.length * 8 + isLast, 0, 3);
    parts.push(size, block);
  }
  return Buffer.concat(parts);
}

/** Without a list of all the bytes that differ. */
function same(unpacked: Buffer | undefined, expected: Buffer | undefined): void {
  strictEqual(unpacked?.length, expected?.length);
  ok(expected === undefined || unpacked?.equals(expected), "other bytes came out");
}

const content = fc.tuple(fc.uint8Array({ maxLength: 400 }), fc.nat({ max: 3_000 }))
  .map(([bytes, times]) => Buffer.concat([Buffer.from("x"), ...Array.from({ length: times }, () => bytes)]));

Deno.test("unpackGzip() and unpackZstd() give what went in, whether or not its length is stated", async () => {
  await fc.assert(
    fc.asyncProperty(content, async (plain) => {
      const within = plain.length <= MOST ? plain : undefined;
      same(unpackGzip(gzipSync(plain), MOST), within);
      for (const frame of [await streamed(plain), zstdCompressSync(plain), stating(plain)]) {
        same(unpackZstd(frame, MOST), within);
      }
      if (plain.length === 1) return;
      strictEqual(unpackGzip(gzipSync(plain), plain.length - 1), undefined);
      strictEqual(unpackZstd(stating(plain), plain.length - 1), undefined);
    }),
    property("inflated", 100),
  );
});

Deno.test("nothing at all is read too", async () => {
  const nothing = Buffer.alloc(0);
  deepStrictEqual(unpackGzip(gzipSync(nothing), MOST), nothing);
  deepStrictEqual(unpackZstd(await streamed(nothing), MOST), nothing);
});

Deno.test("a stated length that is wrong changes nothing of what comes out", () => {
  const plain = Buffer.alloc(100_000, "heartbeat");
  const gzip = gzipSync(plain);
  // Two members: the last one states its own length only.
  same(unpackGzip(Buffer.concat([gzip, gzip]), MOST), Buffer.concat([plain, plain]));
  const frame = stating(plain);
  ok(frame.readUInt32LE(5) > 0);
  frame[5] = (frame[5] ?? 0) ^ 0xff;
  throws(() => unpackZstd(frame, MOST));
  throws(() => unpackGzip(gzip.subarray(0, -10), MOST));
});

Deno.test("what was unpacked keeps no more than a few times its memory alive", async () => {
  for (const length of [1, 1_000, 50_000, MEGABYTE]) {
    for (
      const plain of [
        Buffer.alloc(length, "x"),
        Buffer.from(crypto.getRandomValues(new Uint8Array(Math.min(length, 60_000)))),
      ]
    ) {
      for (const unpacked of [unpackGzip(gzipSync(plain), MOST), unpackZstd(await streamed(plain), MOST)]) {
        strictEqual(unpacked?.length, plain.length);
        const held = unpacked.buffer.byteLength;
        ok(held <= Math.max(8 * 1024, 4 * plain.length), `${held} bytes for ${plain.length}`);
      }
    }
  }
});
