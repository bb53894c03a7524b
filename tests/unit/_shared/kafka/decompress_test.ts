/** What a compressed batch may become in memory, and how that is known before it does. */
import { deepStrictEqual, ok, strictEqual, throws } from "node:assert";
import { Buffer } from "node:buffer";
import process from "node:process";
import { compressionsAlgorithms } from "@platformatic/kafka";
import fc from "fast-check";
import { lz4Length, unpackLz4 } from "../../../../workers/_shared/kafka/lz4.ts";
import { decompress, readBatches } from "../../../../workers/_shared/kafka/batch_reader.ts";
import { snappyLength, unpackSnappy } from "../../../../workers/_shared/kafka/snappy.ts";
import { property } from "../../../support/property.ts";
import { batch } from "../../../support/record_batch.ts";
import {
  lz4OfNothing,
  lz4OfTinyBlocks,
  lz4OfTinyLiterals,
  snappyOfNothing,
  snappyOfTinyBlocks,
} from "../../../support/tiny_blocks.ts";

const MEGABYTE = 1024 * 1024;
const LIMIT = 32 * MEGABYTE;
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

Deno.test("unpackLz4() and unpackSnappy() give what the client's codecs were given, of the length told before", () => {
  fc.assert(
    fc.property(content, (plain) => {
      const frame = Buffer.from(lz4.compressSync(plain));
      deepStrictEqual(unpackLz4(frame, plain.length), plain);
      strictEqual(unpackLz4(frame, plain.length - 1), undefined);
      const wrapped = xerial([snappyBlock(plain), snappyBlock(plain)]);
      deepStrictEqual(unpackSnappy(snappyBlock(plain), plain.length), plain);
      deepStrictEqual(unpackSnappy(wrapped, 2 * plain.length), Buffer.concat([plain, plain]));
      strictEqual(unpackSnappy(wrapped, 2 * plain.length - 1), undefined);
      strictEqual(lz4Length(frame), plain.length);
      strictEqual(snappyLength(snappyBlock(plain)), plain.length);
      strictEqual(snappyLength(wrapped), 2 * plain.length);
    }),
    property("unpacked", 300),
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
  Deno.test(`decompress() gives 32 MB of ${name}, and refuses a byte more`, () => {
    strictEqual(lengthAfter(bitmask, Buffer.from(compress(Buffer.alloc(LIMIT)))), LIMIT);
    const bomb = Buffer.from(compress(Buffer.alloc(LIMIT + 1)));
    throws(() => lengthAfter(bitmask, bomb), /batch at offset 7 is larger than 33554432 bytes/);
  });
}

Deno.test("decompress() counts all blocks of snappy as the Java client writes it", () => {
  const block = snappyBlock(Buffer.alloc(MEGABYTE));
  const blocks = Array.from({ length: 32 }, () => block);
  strictEqual(lengthAfter(snappy.bitmask, xerial(blocks)), LIMIT);
  const bomb = xerial([...blocks, snappyBlock(Buffer.from("x"))]);
  throws(() => lengthAfter(snappy.bitmask, bomb), /batch at offset 7 is larger/);
});

Deno.test("a block for each byte, and blocks of nothing, are unpacked without memory for each", () => {
  const plain = Buffer.from(Array.from({ length: 500_000 }, (_, index) => index * 31 % 251));
  const nothing = Buffer.alloc(0);
  const cases: [unpack: typeof unpackLz4, bytes: Buffer, expected: Buffer][] = [
    [unpackLz4, lz4OfTinyBlocks(plain), plain],
    [unpackLz4, lz4OfTinyLiterals(plain), plain],
    [unpackLz4, lz4OfNothing(500_000), nothing],
    [unpackSnappy, snappyOfTinyBlocks(plain), plain],
    [unpackSnappy, snappyOfNothing(500_000), nothing],
  ];
  for (const [unpack, bytes, expected] of cases) {
    const before = process.memoryUsage();
    const unpacked = unpack(bytes, LIMIT);
    const after = process.memoryUsage();
    const grown = after.heapUsed + after.external - before.heapUsed - before.external;
    ok(unpacked?.equals(expected), `${unpack.name} gave something else`);
    ok(grown < 4 * bytes.length, `${unpack.name} took ${grown} bytes for ${bytes.length}`);
  }
});

Deno.test("decompress() does not believe a frame of lz4 that says that it is small", () => {
  const block = lz4Block(Buffer.alloc(65_536));
  const bomb = fullFrame(1n, Array.from({ length: 513 }, () => block));
  throws(() => lengthAfter(lz4.bitmask, bomb), /batch at offset 7 is larger/);
});

Deno.test("decompress() makes no room for what a few bytes of snappy only claim to be", () => {
  const claim = Buffer.from([0x80, 0x80, 0x80, 0x30, 0]);
  throws(() => lengthAfter(snappy.bitmask, claim), /5 bytes of snappy cannot stand for 100663296/);
  throws(() => lengthAfter(snappy.bitmask, xerial([claim])), RangeError);
  throws(() => lengthAfter(snappy.bitmask, Buffer.alloc(9, 0xff)), RangeError);
});

Deno.test("a damaged batch of lz4 or snappy is refused as such, or read as something else", () => {
  const plain = Buffer.from(
    JSON.stringify(Array.from({ length: 500 }, (_, index) => ({ index, at: index * 7 }))),
  );
  const whole = [
    [lz4.bitmask, Buffer.from(lz4.compressSync(plain))],
    [snappy.bitmask, snappyBlock(plain)],
    [snappy.bitmask, xerial([snappyBlock(plain)])],
  ] as const;
  for (const [bitmask, good] of whole) {
    let refused = 0;
    for (let at = 0; at < good.length; at++) {
      const damaged = Buffer.from(good);
      damaged[at] = (damaged[at] ?? 0) ^ 0xff;
      try {
        lengthAfter(bitmask, damaged);
      } catch (error) {
        refused++;
        ok(error instanceof RangeError && error.message.startsWith("the batch at offset 7 "), String(error));
      }
      try {
        lengthAfter(bitmask, good.subarray(0, at));
      } catch (error) {
        ok(error instanceof RangeError, String(error));
      }
    }
    ok(refused > 100, `${refused} of ${good.length} were refused`);
    strictEqual(lengthAfter(bitmask, good), plain.length);
  }
});

Deno.test("a frame of lz4 whose own checksum is wrong is read, as Kafka's Java client reads it", () => {
  const plain = Buffer.alloc(1_000, "heartbeat");
  const frame = Buffer.from(lz4.compressSync(plain));
  const hasContentChecksum = 1 << 2;
  frame.writeUInt8(frame.readUInt8(4) | hasContentChecksum, 4);
  deepStrictEqual(unpackLz4(Buffer.concat([frame, Buffer.from([1, 2, 3, 4])]), plain.length), plain);
});

Deno.test("decompress() names the offset of a batch that its codec cannot read", () => {
  for (const { bitmask } of [gzip, snappy, lz4, zstd, { bitmask: 6 }]) {
    throws(() => lengthAfter(bitmask, Buffer.alloc(40, 0x5a)), {
      name: "RangeError",
      message: /^the batch at offset 7 cannot be decompressed: /,
    });
  }
});

Deno.test("decompress() refuses bytes that are no frame of lz4", () => {
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(20, 1)]) {
    throws(() => lengthAfter(lz4.bitmask, bytes), /no frame of lz4/);
  }
});
