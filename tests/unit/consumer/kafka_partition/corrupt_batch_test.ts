import { deepStrictEqual, ok, strictEqual, throws } from "node:assert";
import { Buffer } from "node:buffer";
import { type Slice, sliceOf } from "../../../../workers/consumer/kafka_partition/slice.ts";
import { batch, listOf, response, withValidChecksum } from "../../../support/record_batch.ts";

const MEGABYTE = 1024 * 1024;

function reading(heartRate: number): Buffer {
  return Buffer.from(`{"customer_id":"a","timestamp":"2026-07-14T09:30:00Z","heart_rate":${heartRate}}`);
}

function offsets({ records }: Slice): number[] {
  return listOf(records).map(({ offset }) => offset);
}

function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}

Deno.test("sliceOf() detects a flipped bit anywhere in a record batch", () => {
  const whole = batch(7, [7, 8], { record: () => ({ key: null, value: reading(72) }) });
  deepStrictEqual(offsets(sliceOf(response([whole]), 7)), [7, 8]);
  const [checksumAt, first] = [17, 21];
  for (let at = checksumAt; at < whole.length; at++) {
    for (let bit = at < first ? 7 : 0; bit < 8; bit++) {
      const flipped = Buffer.from(whole);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
      throws(
        () => sliceOf(response([flipped]), 7),
        /^RangeError: the batch at offset 7 does not match its checksum$/,
      );
    }
  }
});

Deno.test("sliceOf() reads the records before a corrupt batch, and the next call names the corrupt batch", () => {
  const good = batch(0, [0, 1]);
  const flipped = batch(2, [2, 3]);
  flipped[80] = (flipped[80] ?? 0) ^ 1;
  const otherFormat = batch(2, [2, 3]);
  otherFormat[16] = 1;
  const otherCodec = withValidChecksum(batch(2, [2, 3], { attributes: 5 }));
  for (const bad of [flipped, otherFormat, otherCodec]) {
    const fetched = response([good, bad, batch(4, [4])]);
    const slice = sliceOf(fetched, 0);
    deepStrictEqual([offsets(slice), slice.next, slice.gaps], [[0, 1], 2, []]);
    throws(() => sliceOf(response([bad, batch(4, [4])]), 2), RangeError);
  }
});

Deno.test("sliceOf() reads the records of a batch before a malformed record and none after it", () => {
  const broken = batch(0, [0, 1, 2]);
  const recordBytes = (broken.length - 61) / 3;
  broken[61 + recordBytes] = 0x7e;
  const fetched = response([withValidChecksum(broken)]);
  const slice = sliceOf(fetched, 0);
  deepStrictEqual([offsets(slice), slice.next], [[0], 1]);
  throws(() => sliceOf(fetched, 1), /record 1 of the batch at offset 0 is malformed/);
});

/** @param fetch returns the batches that the broker has from an offset on */
function readAll(fetch: (from: number) => Buffer[], end: number): Slice[] {
  const slices: Slice[] = [];
  for (let next = 0; next < end; next = slices.at(-1)?.next ?? end) {
    const slice = sliceOf(response(fetch(next)), next);
    ok(slice.next > next, `no progress at offset ${next}`);
    slices.push(slice);
  }
  return slices;
}

Deno.test("sliceOf() decompresses only a part of a fetch response with many dense batches", () => {
  const record = () => ({ key: null, value: Buffer.alloc(3 * MEGABYTE, "heartbeat") });
  const batches = range(0, 10).map((offset) => batch(offset, [offset], { record, compression: "zstd" }));
  const slices = readAll((from) => batches.slice(from), 10);
  deepStrictEqual(slices.flatMap(offsets), range(0, 10));
  for (const { bytes } of slices) ok(bytes < 12 * MEGABYTE, `${bytes} bytes in one slice`);
});

Deno.test("sliceOf() reads a batch of very many records in parts", () => {
  const count = 300_000;
  const record = () => ({ key: null, value: null });
  for (const compression of ["zstd", "lz4"] as const) {
    const whole = batch(0, range(0, count), { record, compression });
    const slices = readAll(() => [whole], count);
    for (const { bytes } of slices) ok(bytes < 10 * MEGABYTE, `${bytes} bytes in one slice`);
    strictEqual(slices.reduce((sum, { records }) => sum + records.length, 0), count);
    deepStrictEqual(slices.flatMap(({ gaps }) => gaps), []);
    strictEqual(slices.at(-1)?.next, count);
  }
});
