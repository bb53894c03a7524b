import { ok, strictEqual, throws } from "node:assert";
import { Buffer } from "node:buffer";
import process from "node:process";
import { createZstdCompress } from "node:zlib";
import { compressionsAlgorithms } from "@platformatic/kafka";
import fc from "fast-check";
import { decompress, readBatches } from "../../../../workers/_shared/kafka/batch_reader.ts";
import { unpack } from "../../../../workers/_shared/kafka/codecs.ts";
import { property } from "../../../support/property.ts";
import { batch } from "../../../support/record_batch.ts";
import {
  lz4OfEmptyBlocks,
  lz4OfTinyBlocks,
  lz4OfTinyLiterals,
  snappyOfEmptyBlocks,
  snappyOfTinyBlocks,
} from "../../../support/tiny_blocks.ts";

const MEGABYTE = 1024 * 1024;
const LIMIT = 32 * MEGABYTE;
const { gzip, snappy, lz4, zstd } = compressionsAlgorithms;

type Compress = (plain: Buffer) => Buffer | Promise<Buffer>;

/** Writes snappy in the format of Kafka's Java client: the length of each block precedes the block. */
function xerial(blocks: readonly Buffer[]): Buffer {
  const header = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
  return Buffer.concat([header, ...blocks.flatMap((block) => [int32(block.length, "BE"), block])]);
}

/** Writes an lz4 frame with every optional field of the format. */
function fullFrame(content: bigint, blocks: readonly Buffer[]): Buffer {
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(content);
  return Buffer.concat([
    Buffer.from([0x04, 0x22, 0x4d, 0x18, 0b0111_1101, 0x40]),
    size,
    Buffer.alloc(4 + 1), // the dictionary's id and the header's checksum
    ...blocks.flatMap((block) => [int32(block.length, "LE"), block, Buffer.alloc(4)]),
    Buffer.alloc(4),
  ]);
}

function int32(value: number, order: "LE" | "BE"): Buffer {
  const bytes = Buffer.alloc(4);
  if (order === "LE") bytes.writeUInt32LE(value);
  else bytes.writeUInt32BE(value);
  return bytes;
}

/** @returns the only block of a small frame that the client wrote */
function lz4Block(plain: Buffer): Buffer {
  const frame = Buffer.from(lz4.compressSync(plain));
  return frame.subarray(11, 11 + frame.readUInt32LE(7));
}

const snappyBlock = (plain: Buffer) => Buffer.from(snappy.compressSync(plain));

/** Writes Zstandard as Kafka's Java client does: as a stream, which does not state its length. */
async function streamed(plain: Buffer): Promise<Buffer> {
  const compress = createZstdCompress();
  compress.write(plain.subarray(0, plain.length >> 1));
  compress.end(plain.subarray(plain.length >> 1));
  return Buffer.concat(await Array.fromAsync(compress as AsyncIterable<Buffer>));
}

const WRITERS: readonly [name: string, codec: number, compress: Compress][] = [
  ["gzip", gzip.bitmask, gzip.compressSync],
  ["snappy", snappy.bitmask, snappyBlock],
  ["snappy in the Java client's blocks", snappy.bitmask, (plain) => {
    return xerial([snappyBlock(plain.subarray(0, MEGABYTE)), snappyBlock(plain.subarray(MEGABYTE))]);
  }],
  ["lz4", lz4.bitmask, (plain) => Buffer.from(lz4.compressSync(plain))],
  ["zstd", zstd.bitmask, zstd.compressSync],
  ["zstd in a stream", zstd.bitmask, streamed],
];

function recordsOf(codec: number, records: Buffer): Buffer {
  const [template] = readBatches(batch(7, [7]));
  if (template === undefined) throw new RangeError("the response has no batch");
  return decompress({ ...template, compression: codec, recordsStart: 0, recordsEnd: records.length }, records)
    .bytes;
}

// Some parts compress well, others badly. The content is never empty, because the client's codecs fail on empty input after
// their memory has grown.
const content = fc.array(
  fc.tuple(fc.uint8Array({ maxLength: 300 }), fc.nat({ max: 400 }))
    .map(([bytes, times]) => Buffer.concat(Array.from({ length: times }, () => bytes))),
  { maxLength: 5 },
).map((parts) => Buffer.concat([Buffer.from("x"), ...parts]));

for (const [name, codec, compress] of WRITERS) {
  Deno.test(`unpack() restores data compressed with ${name}, and returns undefined if it exceeds the limit by one byte`, async () => {
    await fc.assert(
      fc.asyncProperty(content, async (plain) => {
        const bytes = await compress(plain);
        ok(unpack(codec, bytes, plain.length)?.equals(plain), "other bytes came out");
        if (plain.length > 1) strictEqual(unpack(codec, bytes, plain.length - 1), undefined);
      }),
      property(`unpacked ${name}`, 60),
    );
  });

  Deno.test(`decompress() reads 32 MiB of ${name}, refuses one byte more, and names the offset of a damaged batch`, async () => {
    strictEqual(recordsOf(codec, await compress(Buffer.alloc(LIMIT))).length, LIMIT);
    const bomb = await compress(Buffer.alloc(LIMIT + 1));
    throws(() => recordsOf(codec, bomb), /batch at offset 7 is larger than 33554432 bytes/);
    throws(() => recordsOf(codec, Buffer.alloc(40, 0x5a)), {
      name: "RangeError",
      message: /^the batch at offset 7 cannot be decompressed: /,
    });
  });

  Deno.test(`the result of unpack() for ${name} keeps at most four times its length in memory`, async () => {
    for (const length of [1, 1_000, 50_000, MEGABYTE]) {
      const noise = Buffer.from(crypto.getRandomValues(new Uint8Array(Math.min(length, 60_000))));
      for (const plain of [Buffer.alloc(length, "x"), noise]) {
        const held = unpack(codec, await compress(plain), LIMIT)?.buffer.byteLength ?? NaN;
        ok(held <= Math.max(8 * 1024, 4 * plain.length), `${held} bytes for ${plain.length}`);
      }
    }
  });
}

Deno.test("decompress() refuses an unknown codec", () => {
  throws(
    () => recordsOf(6, Buffer.alloc(40)),
    /batch at offset 7 cannot be decompressed: no codec has the number 6/,
  );
});

Deno.test("decompress() measures all blocks of an lz4 frame, even if its header states another length", () => {
  const block = lz4Block(Buffer.alloc(65_536, "heartbeat"));
  strictEqual(recordsOf(lz4.bitmask, fullFrame(1n, Array.from({ length: 512 }, () => block))).length, LIMIT);
  const bomb = fullFrame(1n, Array.from({ length: 513 }, () => block));
  throws(() => recordsOf(lz4.bitmask, bomb), /batch at offset 7 is larger/);
});

Deno.test("unpack() needs no extra memory per block for blocks of one byte and for empty blocks", () => {
  const plain = Buffer.from(Array.from({ length: 500_000 }, (_, index) => index * 31 % 251));
  const nothing = Buffer.alloc(0);
  const cases: [codec: number, bytes: Buffer, expected: Buffer][] = [
    [lz4.bitmask, lz4OfTinyBlocks(plain), plain],
    [lz4.bitmask, lz4OfTinyLiterals(plain), plain],
    [lz4.bitmask, lz4OfEmptyBlocks(500_000), nothing],
    [snappy.bitmask, snappyOfTinyBlocks(plain), plain],
    [snappy.bitmask, snappyOfEmptyBlocks(500_000), nothing],
  ];
  for (const [codec, bytes, expected] of cases) {
    const before = process.memoryUsage();
    const unpacked = unpack(codec, bytes, LIMIT);
    const after = process.memoryUsage();
    const grown = after.heapUsed + after.external - before.heapUsed - before.external;
    ok(unpacked?.equals(expected), `codec ${codec} returned other bytes`);
    ok(grown < 4 * bytes.length, `codec ${codec} took ${grown} bytes for ${bytes.length}`);
  }
});

Deno.test("decompress() allocates no memory for a false length in a few bytes of snappy", () => {
  const claim = Buffer.from([0x80, 0x80, 0x80, 0x30, 0]);
  throws(() => recordsOf(snappy.bitmask, claim), /5 bytes of snappy cannot stand for 100663296/);
  throws(() => recordsOf(snappy.bitmask, xerial([claim])), RangeError);
  throws(() => recordsOf(snappy.bitmask, Buffer.alloc(9, 0xff)), RangeError);
});

Deno.test("decompress() reports most damage in lz4 and snappy as a corrupt batch, and throws no other error", () => {
  const plain = Buffer.from(
    JSON.stringify(Array.from({ length: 500 }, (_, index) => ({ index, at: index * 7 }))),
  );
  const whole = [
    [lz4.bitmask, Buffer.from(lz4.compressSync(plain))],
    [snappy.bitmask, snappyBlock(plain)],
    [snappy.bitmask, xerial([snappyBlock(plain)])],
  ] as const;
  for (const [codec, good] of whole) {
    let refused = 0;
    for (let at = 0; at < good.length; at++) {
      const damaged = Buffer.from(good);
      damaged[at] = (damaged[at] ?? 0) ^ 0xff;
      for (const bytes of [damaged, good.subarray(0, at)]) {
        try {
          recordsOf(codec, bytes);
        } catch (error) {
          if (bytes === damaged) refused++;
          ok(
            error instanceof RangeError && error.message.startsWith("the batch at offset 7 "),
            String(error),
          );
        }
      }
    }
    ok(refused > 100, `only ${refused} of ${good.length} damaged batches were refused`);
    strictEqual(recordsOf(codec, good).length, plain.length);
  }
});

Deno.test("decompress() ignores the content checksum of an lz4 frame, as Kafka's Java client does", () => {
  const plain = Buffer.alloc(1_000, "heartbeat");
  const frame = Buffer.from(lz4.compressSync(plain));
  const hasContentChecksum = 1 << 2;
  frame.writeUInt8(frame.readUInt8(4) | hasContentChecksum, 4);
  ok(recordsOf(lz4.bitmask, Buffer.concat([frame, Buffer.from([1, 2, 3, 4])])).equals(plain));
});
