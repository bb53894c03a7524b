import { deepStrictEqual, ok, strictEqual, throws } from "node:assert";
import { Buffer } from "node:buffer";
import type { Records } from "../../../../workers/_shared/kafka/records.ts";
import {
  gapSlice,
  joinSlices,
  release,
  sliceOf,
  splitSlice,
} from "../../../../workers/consumer/kafka_partition/slice.ts";
import {
  batch,
  FIRST_TIMESTAMP,
  listOf,
  LOG_APPEND_TIME,
  marker,
  MAX_TIMESTAMP,
  recordsOf,
  response,
  TRANSACTIONAL,
  withValidChecksum,
} from "../../../support/record_batch.ts";

function inTransaction(first: number, offsets: number[], producerId: bigint): Buffer {
  return batch(first, offsets, { attributes: TRANSACTIONAL, producerId });
}

function offsets(records: Records): number[] {
  return listOf(records).map(({ offset }) => offset);
}

function summary({ next, records, gaps }: ReturnType<typeof sliceOf>) {
  return { next, offsets: offsets(records), gaps: gaps.map((gap) => Object.values(gap)) };
}

Deno.test("sliceOf() leaves out the records of a batch before the fetch offset", () => {
  const slice = sliceOf(response([batch(10, [10, 11, 12, 13])]), 12);
  deepStrictEqual(summary(slice), { next: 14, offsets: [12, 13], gaps: [] });
  ok(slice.bytes >= 2 * (1 + 3));
});

Deno.test("sliceOf() reports compacted offsets before, between and after the records of a batch as gaps", () => {
  const slice = sliceOf(response([batch(10, [12, 14], { last: 16 }), batch(20, [20])]), 8);
  deepStrictEqual(summary(slice), {
    next: 21,
    offsets: [12, 14, 20],
    gaps: [[8, 12, "compacted"], [13, 14, "compacted"], [15, 20, "compacted"]],
  });
});

Deno.test("sliceOf() reports a batch without any remaining record as a compacted gap", () => {
  deepStrictEqual(summary(sliceOf(response([batch(5, [], { last: 9 })]), 5)), {
    next: 10,
    offsets: [],
    gaps: [[5, 10, "compacted"]],
  });
});

Deno.test("sliceOf() reports the records of an aborted transaction and its marker as two gaps", () => {
  const slice = sliceOf(
    response([batch(0, [0, 1]), inTransaction(2, [2, 3], 7n), marker(4, 7n, "abort"), batch(5, [5])], [[
      7n,
      2,
    ]]),
    0,
  );
  deepStrictEqual(summary(slice), {
    next: 6,
    offsets: [0, 1, 5],
    gaps: [[2, 4, "aborted"], [4, 5, "control"]],
  });
});

Deno.test("sliceOf() recognizes an aborted transaction whose marker comes in a later fetch response", () => {
  const first = sliceOf(response([inTransaction(0, [0, 1], 7n), inTransaction(2, [2, 3], 7n)], [[7n, 0]]), 0);
  deepStrictEqual(summary(first), { next: 4, offsets: [], gaps: [[0, 4, "aborted"]] });
  const second = sliceOf(response([inTransaction(4, [4, 5], 7n), marker(6, 7n, "abort")], [[7n, 0]]), 4);
  deepStrictEqual(summary(second), { next: 7, offsets: [], gaps: [[4, 6, "aborted"], [6, 7, "control"]] });
});

Deno.test("sliceOf() keeps the records that the same producer commits after an abort, and those of other producers", () => {
  const slice = sliceOf(
    response([
      inTransaction(0, [0], 7n),
      inTransaction(1, [1], 8n),
      marker(2, 7n, "abort"),
      inTransaction(3, [3], 7n),
      marker(4, 8n, "commit"),
      marker(5, 7n, "commit"),
    ], [[7n, 0]]),
    0,
  );
  deepStrictEqual(summary(slice), {
    next: 6,
    offsets: [1, 3],
    gaps: [[0, 1, "aborted"], [2, 3, "control"], [4, 6, "control"]],
  });
});

Deno.test("sliceOf() keeps a committed transaction between two aborted ones of the same producer", () => {
  const slice = sliceOf(
    response([
      inTransaction(0, [0], 7n),
      marker(1, 7n, "abort"),
      inTransaction(2, [2], 7n),
      marker(3, 7n, "commit"),
      inTransaction(4, [4], 7n),
      marker(5, 7n, "abort"),
    ], [[7n, 4], [7n, 0]]),
    0,
  );
  deepStrictEqual(summary(slice).offsets, [2]);
});

Deno.test("sliceOf() takes the timestamp of the record, or the broker's if the topic uses log append time", () => {
  const times = (attributes: number) => {
    const { records } = sliceOf(response([batch(5, [5, 6], { attributes })]), 5);
    return listOf(records).map(({ timestampMs }) => timestampMs);
  };
  deepStrictEqual(times(0), [FIRST_TIMESTAMP + 5, FIRST_TIMESTAMP + 6]);
  deepStrictEqual(times(LOG_APPEND_TIME), [MAX_TIMESTAMP, MAX_TIMESTAMP]);
});

Deno.test("sliceOf() distinguishes a null value or key from an empty one", () => {
  const record = (offset: number) => {
    return offset === 0 ? { key: null, value: null } : { key: Buffer.alloc(0), value: Buffer.alloc(0) };
  };
  const [tombstone, empty] = listOf(sliceOf(response([batch(0, [0, 1], { record })]), 0).records);
  deepStrictEqual([tombstone?.key, tombstone?.value], [null, null]);
  deepStrictEqual([empty?.key?.length, empty?.value?.length], [0, 0]);
});

Deno.test("a slice has the leader epoch of its last batch, but no epoch if it ends with an inferred gap", () => {
  const epochs = [3, 3, 5].map((leaderEpoch, index) => batch(index, [index], { leaderEpoch }));
  const slice = sliceOf(response(epochs), 0);
  strictEqual(slice.leaderEpoch, 5);
  // Compacted records can have had a later epoch. If the consumer sent an earlier one, the broker would report a truncation.
  strictEqual(sliceOf(response([]), 3).leaderEpoch, -1);
  strictEqual(joinSlices([slice, gapSlice(3, 9, "compacted")]).leaderEpoch, -1);
});

for (const compression of ["gzip", "snappy", "lz4", "zstd"] as const) {
  Deno.test(`sliceOf() reads a ${compression} batch between uncompressed batches`, () => {
    const slice = sliceOf(response([batch(0, [0]), batch(1, [1, 2], { compression }), batch(3, [3])]), 0);
    deepStrictEqual(
      listOf(slice.records).map(({ offset, key, value }) => `${offset} ${key} ${value}`),
      ["0 k v0", "1 k v1", "2 k v2", "3 k v3"],
    );
  });
}

Deno.test("splitSlice() keeps all records of alternating plain and compressed batches at every split position", () => {
  const batches = [0, 3, 6, 9, 12].map((first, index) => {
    return batch(first, [first, first + 1, first + 2], index % 2 === 1 ? { compression: "gzip" } : {});
  });
  const whole = sliceOf(response(batches), 0);
  for (let count = 1; count <= 15; count++) {
    const parts = splitSlice(whole, count);
    deepStrictEqual(offsets(parts[0].records), Array.from({ length: count }, (_, offset) => offset));
    const rest = parts.flatMap(({ records }) => offsets(records));
    deepStrictEqual(rest, Array.from({ length: 15 }, (_, offset) => offset), `cut at ${count}`);
  }
});

Deno.test("a slice counts the memory of its gaps, which limits a backlog of aborted records", () => {
  const slice = sliceOf(response([inTransaction(0, [0, 1], 7n), marker(2, 7n, "abort")], [[7n, 0]]), 0);
  ok(slice.bytes > 0);
  ok(gapSlice(0, 5, "compacted").bytes > 0);
});

Deno.test("sliceOf() leaves an incomplete last batch to the next fetch", () => {
  const bytes = [batch(0, [0, 1]), batch(2, [2, 3]).subarray(0, -1)];
  deepStrictEqual(summary(sliceOf(response(bytes), 0)), { next: 2, offsets: [0, 1], gaps: [] });
});

Deno.test("sliceOf() throws for malformed bytes and never reads past their end", () => {
  const whole = batch(0, [0, 1]);
  const lengthOfFirst = whole.length - 2 * (whole.length - 61) / 2;
  for (const [at, byte] of [[16, 1], [lengthOfFirst, 0x7e], [lengthOfFirst, 0x01]] as const) {
    const broken = Buffer.from(whole);
    broken[at] = byte;
    const fetched = response([withValidChecksum(broken)]);
    throws(() => sliceOf(fetched, 0), /malformed|has format/, `byte ${at}`);
  }
});

Deno.test("joinSlices() returns one slice from the first offset to the last", () => {
  const joined = joinSlices([sliceOf(response([batch(0, [0, 1])]), 0), gapSlice(2, 5, "log_start")]);
  deepStrictEqual(summary(joined), { next: 5, offsets: [0, 1], gaps: [[2, 5, "log_start"]] });
  strictEqual(joined.from, 0);
});

Deno.test("splitSlice() splits before a record and gives each gap to exactly one part", () => {
  const emptyRecord = (offset: number) => ({ offset, timestampMs: 0, key: null, value: null });
  const whole = {
    from: 0,
    next: 12,
    records: recordsOf([emptyRecord(1), emptyRecord(2), emptyRecord(7), emptyRecord(8)]),
    gaps: [{ from: 0, to: 1, cause: "control" as const }, { from: 3, to: 7, cause: "compacted" as const }, {
      from: 9,
      to: 12,
      cause: "aborted" as const,
    }],
    leaderEpoch: 3,
    bytes: 400,
    ownTables: [],
  };
  const [first, second] = splitSlice(whole, 2);
  deepStrictEqual([first.from, first.next, offsets(first.records)], [0, 7, [1, 2]]);
  deepStrictEqual([second?.from, second?.next, second && offsets(second.records)], [7, 12, [7, 8]]);
  deepStrictEqual(first.gaps, whole.gaps.slice(0, 2));
  deepStrictEqual(second?.gaps, whole.gaps.slice(2));
  strictEqual(first.bytes + (second?.bytes ?? 0), 400);
  deepStrictEqual(splitSlice(whole, 4), [whole]);
});

/** Creates a batch of a few kilobytes with 2 MiB of records. */
function dense(first: number): Buffer {
  const record = () => ({ key: null, value: Buffer.alloc(1024 * 1024, "x") });
  return batch(first, [first, first + 1], { compression: "gzip", record });
}

Deno.test("release() frees a decompressed batch with its last part, but no memory that other slices use", () => {
  const whole = sliceOf(response([batch(0, [0, 1]), dense(2), batch(4, [4]), dense(5)]), 0);
  const bytesOf = (offset: number) => whole.records.at(offset)?.value?.length;
  const [first, second] = splitSlice(whole, 3);
  release(first);
  deepStrictEqual([bytesOf(2), bytesOf(3), bytesOf(5)], [1024 * 1024, 1024 * 1024, 1024 * 1024]);
  ok(second !== undefined);
  release(joinSlices([second, gapSlice(7, 9, "compacted")]));
  const held = whole.records.ranges.map(({ table }) => table.bytes.length);
  deepStrictEqual(held.map((length) => length > 0), [true, false, true, false]);
  deepStrictEqual(listOf(whole.records.slice(0, 2)).map(({ value }) => value?.toString()), ["v0", "v1"]);
});

Deno.test("release() does not free small batches, which may share their memory with other data", () => {
  const small = sliceOf(response([batch(0, [0], { compression: "gzip" })]), 0);
  release(small);
  strictEqual(small.records.at(0)?.value?.toString(), "v0");
});
