import { deepStrictEqual, ok, throws } from "node:assert";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { type Slice, sliceOf } from "../../../../workers/consumer/kafka_partition/slice.ts";
import { property } from "../../../support/property.ts";
import {
  batch,
  type BatchOptions,
  listOf,
  marker,
  response,
  withValidChecksum,
} from "../../../support/record_batch.ts";

function offsets({ records }: Slice): number[] {
  return listOf(records).map(({ offset }) => offset);
}

/** @returns each record as `<offset> <value>` */
function values({ records }: Slice): string[] {
  return listOf(records).map(({ offset, value }) => `${offset} ${value}`);
}

/** Creates a batch at offset 10 with records `r0`, `r1`, ... and these offset deltas. It is compacted only if `last` says so. */
function withDeltas(deltas: readonly number[], options: BatchOptions = {}): Buffer {
  const record = (_: number, index: number) => ({ key: null, value: Buffer.from(`r${index}`) });
  return batch(10, deltas.map((delta) => 10 + delta), { last: 9 + deltas.length, record, ...options });
}

const WRONG = [[0, 1, 2000], [0, 1, 2 ** 30], [0, -3, 2], [0, 0, 0], [0, 5000, 2], [2, 1, 0], [-3, -2, -1]];

Deno.test("sliceOf() gives the records of a batch without compaction consecutive offsets, and ignores the deltas", () => {
  for (const deltas of WRONG) {
    for (const options of [{}, { compression: "gzip" }] as const) {
      const fetched = response([withDeltas(deltas, options), batch(13, [13, 14])]);
      const slice = sliceOf(fetched, 10);
      deepStrictEqual(values(slice), ["10 r0", "11 r1", "12 r2", "13 v13", "14 v14"], `deltas ${deltas}`);
      deepStrictEqual([slice.next, slice.gaps], [15, []]);
      deepStrictEqual(values(sliceOf(fetched, 11)).slice(0, 2), ["11 r1", "12 r2"], `deltas ${deltas}`);
    }
  }
});

Deno.test("sliceOf() refuses a compacted batch with offsets that repeat, decrease or lie outside the batch", () => {
  for (const deltas of [[2000], [-1], [3], [-3, 1], [1, 1], [2, 1], [1, 2 ** 30]]) {
    const fetched = response([withDeltas(deltas, { last: 12 }), batch(13, [13])]);
    throws(
      () => sliceOf(fetched, 10),
      /^RangeError: record \d of the batch at offset 10 has offset -?\d+, expected at least 1\d and less than 13$/,
      `deltas ${deltas}`,
    );
  }
  deepStrictEqual(offsets(sliceOf(response([withDeltas([0, 2], { last: 12 })]), 10)), [10, 12]);
});

Deno.test("sliceOf() refuses a batch with fewer offsets than records", () => {
  const wrongCounts: BatchOptions[] = [{ last: 11 }, { last: 9 }, { last: 0 }, { count: 4 }, { count: -1 }];
  const control = marker(10, 7n, "commit");
  control.writeInt32BE(-2, 23);
  for (
    const bytes of [...wrongCounts.map((wrong) => withDeltas([0, 1, 2], wrong)), withValidChecksum(control)]
  ) {
    throws(
      () => sliceOf(response([bytes, batch(13, [13])]), 10),
      /^RangeError: the batch at offset 10 has -?\d records and -?\d offsets$/,
    );
  }
});

Deno.test("sliceOf() never reads past the end of a batch that states too many records or too long a record", () => {
  const following = batch(14, [14, 15]);
  for (const last of [13, 20]) {
    const fetched = response([withDeltas([0, 1, 2], { last, count: 4 }), following]);
    deepStrictEqual(offsets(sliceOf(fetched, 10)), [10, 11, 12]);
    throws(() => sliceOf(fetched, 13), /^RangeError: record 3 of the batch at offset 10 is malformed$/);
  }
  const longer = withDeltas([0, 1, 2]);
  const lastAt = longer.length - (longer.length - 61) / 3;
  longer[lastAt] = (longer[lastAt] ?? 0) + 2 * 5;
  const fetched = response([withValidChecksum(longer), batch(13, [13, 14])]);
  throws(() => sliceOf(fetched, 12), /^RangeError: record 2 of the batch at offset 10 is malformed$/);
});

Deno.test("sliceOf() leaves a batch that overlaps the previous one to the next fetch", () => {
  const first = batch(10, [10, 11, 12]);
  for (
    const following of [batch(10, [10, 11, 12]), batch(12, [12, 13]), batch(3, [3]), marker(12, 7n, "commit")]
  ) {
    const slice = assertCoversAll(sliceOf(response([first, following]), 10));
    deepStrictEqual([offsets(slice), slice.next], [[10, 11, 12], 13]);
  }
  deepStrictEqual(offsets(sliceOf(response([batch(12, [12, 13])]), 13)), [13]);
});

Deno.test("sliceOf() throws if records and gaps do not add up to the slice", () => {
  // Above 2^53 a double skips every second offset.
  const last = 2 ** 53;
  throws(
    () => sliceOf(response([batch(last, [last, last, last], { last: last + 2 })]), last),
    /^Error: offsets 9007199254740992 to \d+ are \d records and \d in gaps, expected \d together$/,
  );
});

/** @throws if the records and gaps do not cover each offset of the slice once and in order */
function assertCoversAll(slice: Slice): Slice {
  const parts = [...offsets(slice).map((from) => ({ from, to: from + 1 })), ...slice.gaps];
  let next = slice.from;
  for (const { from, to } of parts.sort((a, b) => a.from - b.from)) {
    ok(from === next && to > from, `${from} to ${to} follows ${next}`);
    next = to;
  }
  deepStrictEqual(next, slice.next);
  deepStrictEqual(offsets(slice), offsets(slice).sort((a, b) => a - b));
  return slice;
}

const delta = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: -2, max: 9 }) },
  { weight: 1, arbitrary: fc.integer() },
);
const deltas = fc.oneof(
  fc.array(delta, { maxLength: 8 }),
  fc.nat({ max: 8 }).map((count) => Array.from({ length: count }, (_, index) => index)),
  fc.uniqueArray(fc.nat({ max: 9 }), { maxLength: 8 }).map((offsets) => offsets.sort((a, b) => a - b)),
);
// A value of the batch header. Undefined stands for the value of a batch that was not compacted.
const stated = fc.option(delta, { nil: undefined });
const anyBatch = fc.record({
  deltas,
  count: stated,
  lastDelta: stated,
  compression: fc.constantFrom(undefined, undefined, "gzip" as const),
  /** Number of offsets from the end of this batch to the beginning of the next one. */
  space: fc.constantFrom(0, 0, 0, 2, -1, -4),
});

Deno.test("sliceOf() either throws for contradictory batches or covers each offset once with a record or a gap", () => {
  let read = 0;
  fc.assert(
    fc.property(fc.array(anyBatch, { minLength: 1, maxLength: 3 }), fc.nat({ max: 6 }), (all, skipped) => {
      let first = 10;
      const batches = all.map((stated) => {
        const { deltas, count = deltas.length, lastDelta = deltas.length - 1, compression, space } = stated;
        const offsets = deltas.map((delta) => first + delta);
        const options = {
          last: first + lastDelta,
          count,
          ...(compression === undefined ? {} : { compression }),
        };
        const bytes = batch(first, offsets, options);
        first = Math.max(0, first + lastDelta + 1 + space);
        return bytes;
      });
      try {
        const slice = assertCoversAll(sliceOf(response(batches), 10 + skipped));
        if (slice.records.length > 0) read++;
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
    }),
    property("contradictory batches", 5_000),
  );
  ok(read > 500, `only ${read} inputs had records`);
});
