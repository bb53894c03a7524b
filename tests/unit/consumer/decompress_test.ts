/** What a compressed batch may become in memory, and how that is known before it does. */
import { strictEqual, throws } from "node:assert";
import { Buffer } from "node:buffer";
import { compressionsAlgorithms } from "@platformatic/kafka";
import fc from "fast-check";
import { lz4Length, snappyLength } from "../../../workers/consumer/decompressed_length.ts";
import { decompress, readBatches } from "../../../workers/consumer/record_batch.ts";
import { property } from "../../support/property.ts";
import { batch } from "../../support/record_batch.ts";

const MEGABYTE = 1024 * 1024;
const LIMIT = 128 * MEGABYTE;
const { gzip, snappy, lz4, zstd } = compressionsAlgorithms;

/** As Kafka's Java client writes snappy: blocks, each behind its length. */
function xerial(blocks: readonly Buffer[]): Buffer {
  const header = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
  return Buffer.concat([header, ...blocks.flatMap((block) => [int32(block.length, "BE"), block])]);
}

/** A frame of one block after the other, with all that a frame may say of itself. */
function fullFrame(content: bigint, blocks: readonly Buffer[]): Buffer {
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(content);
  const dictionary = Buffer.alloc(4);
  const checksum = Buffer.alloc(4);
  return Buffer.concat([
    Buffer.from([0x04, 0x22, 0x4d, 0x18, 0b0111_1101, 0x40]),
    size,
    dictionary,
    Buffer.alloc(1),
    ...blocks.flatMap((block) => [int32(block.length, "LE"), block, checksum]),
    Buffer.alloc(4),
  ]);
}

function int32(value: number, order: "LE" | "BE"): Buffer {
  const bytes = Buffer.alloc(4);
  if (order === "LE") bytes.writeUInt32LE(value);
  else bytes.writeUInt32BE(value);
  return bytes;
}

/** The one block of a small frame as the client writes it. */
function lz4Block(plain: Buffer): Buffer {
  const frame = Buffer.from(lz4.compressSync(plain));
  return frame.subarray(11, 11 + frame.readUInt32LE(7));
}

function snappyBlock(plain: Buffer): Buffer {
  return Buffer.from(snappy.compressSync(plain));
}

/** How long the records of a batch are after `decompress`. */
function lengthAfter(bitmask: number, records: Buffer): number {
  const [one] = readBatches(batch(7, [7]));
  if (one === undefined) throw new RangeError("there is no batch");
  const made = { ...one, compression: bitmask, recordsAt: 0, recordsEnd: records.length };
  return decompress(made, records).bytes.length;
}

/** Bytes that compress well, badly and by turns. Never none: of those the client's codecs fail once their memory grew. */
const content = fc.array(
  fc.tuple(fc.uint8Array({ maxLength: 300 }), fc.nat({ max: 400 }))
    .map(([bytes, times]) => Buffer.concat(Array.from({ length: times }, () => bytes))),
  { maxLength: 5 },
).map((parts) => Buffer.concat([Buffer.from("x"), ...parts]));

Deno.test("snappyLength() and lz4Length() are what comes out, whatever went in", () => {
  fc.assert(
    fc.property(content, (plain) => {
      strictEqual(lz4Length(Buffer.from(lz4.compressSync(plain))), plain.length);
      strictEqual(snappyLength(snappyBlock(plain)), plain.length);
      strictEqual(snappyLength(xerial([snappyBlock(plain), snappyBlock(plain)])), 2 * plain.length);
    }),
    property("lengths", 300),
  );
});

Deno.test("lz4Length() counts the blocks, behind every field that a frame can have", () => {
  const block = lz4Block(Buffer.alloc(65_536, "heartbeat"));
  strictEqual(lz4Length(fullFrame(1n, [block, block])), 2 * 65_536);
});

const codecs: readonly [name: string, bitmask: number, compress: (plain: Buffer) => Uint8Array][] = [
  ["gzip", gzip.bitmask, gzip.compressSync],
  ["snappy", snappy.bitmask, snappy.compressSync],
  ["lz4", lz4.bitmask, lz4.compressSync],
  ["zstd", zstd.bitmask, zstd.compressSync],
];

for (const [name, bitmask, compress] of codecs) {
  Deno.test(`decompress() gives 128 MB of ${name}, and refuses a byte more`, () => {
    strictEqual(lengthAfter(bitmask, Buffer.from(compress(Buffer.alloc(LIMIT)))), LIMIT);
    const bomb = Buffer.from(compress(Buffer.alloc(LIMIT + 1)));
    throws(() => lengthAfter(bitmask, bomb), /batch at offset 7 is larger than 134217728 bytes/);
  });
}

Deno.test("decompress() counts all blocks of snappy as the Java client writes it", () => {
  const block = snappyBlock(Buffer.alloc(MEGABYTE));
  const blocks = Array.from({ length: 128 }, () => block);
  strictEqual(lengthAfter(snappy.bitmask, xerial(blocks)), LIMIT);
  const bomb = xerial([...blocks, snappyBlock(Buffer.from("x"))]);
  throws(() => lengthAfter(snappy.bitmask, bomb), /batch at offset 7 is larger/);
});

Deno.test("decompress() does not believe a frame of lz4 that says that it is small", () => {
  const block = lz4Block(Buffer.alloc(65_536));
  const bomb = fullFrame(1n, Array.from({ length: 2_049 }, () => block));
  throws(() => lengthAfter(lz4.bitmask, bomb), /batch at offset 7 is larger/);
});

Deno.test("decompress() makes no room for what a few bytes of snappy only claim to be", () => {
  const claim = Buffer.from([0x80, 0x80, 0x80, 0x30, 0]);
  throws(() => lengthAfter(snappy.bitmask, claim), /5 bytes of snappy cannot stand for 100663296/);
  throws(() => lengthAfter(snappy.bitmask, xerial([claim])), RangeError);
  throws(() => lengthAfter(snappy.bitmask, Buffer.alloc(9, 0xff)), RangeError);
});

Deno.test("decompress() refuses bytes that are no frame of lz4", () => {
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(20, 1)]) {
    throws(() => lengthAfter(lz4.bitmask, bytes), /no frame of lz4/);
  }
});
