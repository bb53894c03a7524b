import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { crc32c, Reader, readRecordsBatch } from "@platformatic/kafka";
import fc from "fast-check";
import { addRecords, decompress, readBatches } from "../../../../workers/_shared/kafka/batch_reader.ts";
import { RecordTable } from "../../../../workers/_shared/kafka/records.ts";
import {
  type Compression,
  type Content,
  encodeBatch,
} from "../../../../workers/_shared/kafka/batch_writer.ts";

const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
const RECORD: fc.Arbitrary<Content> = fc.record({
  key: bytes(200),
  value: fc.oneof(
    bytes(200),
    // A varint takes one more byte from 64 on, and another from 8,192 on.
    fc.constantFrom(63, 64, 8_191, 8_192).map((n) => Buffer.alloc(n, 7)),
    fc.constant(null),
  ),
});

type ReadRecord = readonly [index: number, key: string | null, value: string | null];

function hex(bytes: Uint8Array | null | undefined): string | null {
  return bytes ? Buffer.from(bytes).toString("hex") : null;
}

/** Reads a batch one field after another, as Kafka's client does. */
function readByFields(batch: Buffer) {
  const { records: read, ...header } = readRecordsBatch(Reader.from(batch));
  return {
    header,
    records: read.map(({ offsetDelta, key, value }): ReadRecord => [offsetDelta, hex(key), hex(value)]),
  };
}

/** Reads a batch record by record, by the length that each record states, as the consumer does. */
function readByLengths(bytes: Buffer): ReadRecord[] {
  const [batch = assert.fail("no batch")] = readBatches(bytes);
  const plain = decompress(batch, bytes);
  const table = new RecordTable(plain.bytes, batch.count);
  addRecords(table, batch, plain, { from: 0, onRecord: () => {} });
  return Array.from({ length: table.length }, (_, index) => {
    const { offset, key, value } = table.record(index);
    return [offset, hex(key), hex(value)];
  });
}

for (const compression of ["none", "gzip", "snappy", "lz4", "zstd"] satisfies Compression[]) {
  Deno.test(`encodeBatch() writes a ${compression} batch from which both readers get the same records in the same order`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(RECORD, { minLength: 1, maxLength: 50 }), async (records) => {
        const before = BigInt(Date.now());
        const batch = await encodeBatch(records, compression);
        const expected = records.map(({ key, value }, index): ReadRecord => [index, hex(key), hex(value)]);
        const { header, records: read } = readByFields(batch);
        assert.deepEqual(read, expected);
        assert.deepEqual(readByLengths(batch), expected);
        assert.equal(header.length, batch.length - 12);
        assert.equal(header.crc, crc32c(batch.subarray(21)) >>> 0);
        assert.equal(header.lastOffsetDelta, records.length - 1);
        assert.ok(header.firstTimestamp >= before && header.firstTimestamp <= Date.now());
        assert.equal(header.maxTimestamp, header.firstTimestamp);
        assert.deepEqual([header.magic, header.producerId, header.producerEpoch], [2, -1n, -1]);
      }),
      { numRuns: 25 },
    );
  });
}

Deno.test("encodeBatch() writes a batch of 20,000 records, and a batch of 20 MB", async () => {
  const many = Array.from(
    { length: 20_000 },
    (_, n) => ({ key: Buffer.from("k"), value: Buffer.from(String(n)) }),
  );
  const large = [{ key: Buffer.alloc(0), value: Buffer.alloc(20_000_000, 1) }];
  for (const records of [many, large]) {
    const batch = await encodeBatch(records, "none");
    const expected = records.map(({ key, value }, index): ReadRecord => [index, hex(key), hex(value)]);
    assert.deepEqual(readByFields(batch).records, expected);
    assert.deepEqual(readByLengths(batch), expected);
  }
});
