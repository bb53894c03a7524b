/** Batches that contradict themselves: nothing is skipped, read twice or counted wrongly because of what a producer wrote. */
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
  withRightChecksum,
} from "../../../support/record_batch.ts";

function offsets({ records }: Slice): number[] {
  return listOf(records).map(({ offset }) => offset);
}

/** Each record as `<offset> <value>`. */
function values({ records }: Slice): string[] {
  return listOf(records).map(({ offset, value }) => `${offset} ${value}`);
}

/** A batch at offset 10 of records `r0`, `r1`, ... with these deltas; whole unless `last` says otherwise. */
function withDeltas(deltas: readonly number[], options: BatchOptions = {}): Buffer {
  const record = (_: number, index: number) => ({ key: null, value: Buffer.from(`r${index}`) });
  return batch(10, deltas.map((delta) => 10 + delta), { last: 9 + deltas.length, record, ...options });
}

const WRONG = [[0, 1, 2000], [0, 1, 2 ** 30], [0, -3, 2], [0, 0, 0], [0, 5000, 2], [2, 1, 0], [-3, -2, -1]];

Deno.test("a record's offset is its place in its batch, whatever its producer wrote into it", () => {
  for (const deltas of WRONG) {
    for (const options of [{}, { compression: "gzip" }] as const) {
      const answer = response([withDeltas(deltas, options), batch(13, [13, 14])]);
      const slice = sliceOf(answer, 10);
      deepStrictEqual(values(slice), ["10 r0", "11 r1", "12 r2", "13 v13", "14 v14"], `deltas ${deltas}`);
      deepStrictEqual([slice.next, slice.gaps], [15, []]);
      deepStrictEqual(values(sliceOf(answer, 11)).slice(0, 2), ["11 r1", "12 r2"], `deltas ${deltas}`);
    }
  }
});

Deno.test("of a batch that compaction took records of, offsets that cannot be are not believed", () => {
  for (const deltas of [[2000], [-1], [3], [-3, 1], [1, 1], [2, 1], [1, 2 ** 30]]) {
    const answer = response([withDeltas(deltas, { last: 12 }), batch(13, [13])]);
    throws(
      () => sliceOf(answer, 10),
      /^RangeError: record \d of the batch at offset 10 has offset -?\d+, expected at least 1\d and less than 13$/,
      `deltas ${deltas}`,
    );
  }
  deepStrictEqual(offsets(sliceOf(response([withDeltas([0, 2], { last: 12 })]), 10)), [10, 12]);
});

Deno.test("a batch with fewer offsets than records, or none, cannot be read", () => {
  const lies: BatchOptions[] = [{ last: 11 }, { last: 9 }, { last: 0 }, { count: 4 }, { count: -1 }];
  const control = marker(10, 7n, "commit");
  control.writeInt32BE(-2, 23);
  for (const bytes of [...lies.map((lie) => withDeltas([0, 1, 2], lie)), withRightChecksum(control)]) {
    throws(
      () => sliceOf(response([bytes, batch(13, [13])]), 10),
      /^RangeError: the batch at offset 10 has -?\d records and -?\d offsets$/,
    );
  }
});

Deno.test("a batch that says it has more records than it has, or a longer one, is never read on into the next", () => {
  const behind = batch(14, [14, 15]);
  for (const last of [13, 20]) {
    const answer = response([withDeltas([0, 1, 2], { last, count: 4 }), behind]);
    deepStrictEqual(offsets(sliceOf(answer, 10)), [10, 11, 12]);
    throws(() => sliceOf(answer, 13), /^RangeError: record 3 of the batch at offset 10 is malformed$/);
  }
  const longer = withDeltas([0, 1, 2]);
  const lastAt = longer.length - (longer.length - 61) / 3;
  longer[lastAt] = (longer[lastAt] ?? 0) + 2 * 5;
  const answer = response([withRightChecksum(longer), batch(13, [13, 14])]);
  throws(() => sliceOf(answer, 12), /^RangeError: record 2 of the batch at offset 10 is malformed$/);
});

Deno.test("a batch that begins before the end of the one in front of it is left to the next fetch", () => {
  const first = batch(10, [10, 11, 12]);
  for (
    const behind of [batch(10, [10, 11, 12]), batch(12, [12, 13]), batch(3, [3]), marker(12, 7n, "commit")]
  ) {
    const slice = accountedFor(sliceOf(response([first, behind]), 10));
    deepStrictEqual([offsets(slice), slice.next], [[10, 11, 12], 13]);
  }
  deepStrictEqual(offsets(sliceOf(response([batch(12, [12, 13])]), 13)), [13]);
});

Deno.test("what does not add up is our own mistake, and said so before the database is asked", () => {
  // Beyond 2^53 a double leaves out every other offset.
  const last = 2 ** 53;
  throws(
    () => sliceOf(response([batch(last, [last, last, last], { last: last + 2 })]), last),
    /^Error: offsets 9007199254740992 to \d+ are \d records and \d in gaps, expected \d together$/,
  );
});

/** @throws unless records and gaps, laid end to end, are the stretch */
function accountedFor(slice: Slice): Slice {
  const parts = [...offsets(slice).map((from) => ({ from, to: from + 1 })), ...slice.gaps];
  let next = slice.from;
  for (const { from, to } of parts.sort((a, b) => a.from - b.from)) {
    ok(from === next && to > from, `${from} to ${to} comes behind ${next}`);
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
  fc.uniqueArray(fc.nat({ max: 9 }), { maxLength: 8 }).map((some) => some.sort((a, b) => a - b)),
);
/** What a header says; undefined: what is true of a batch that was not compacted. */
const stated = fc.option(delta, { nil: undefined });
const anyBatch = fc.record({
  deltas,
  count: stated,
  lastDelta: stated,
  compression: fc.constantFrom(undefined, undefined, "gzip" as const),
  /** How far behind its end the next one begins. */
  space: fc.constantFrom(0, 0, 0, 2, -1, -4),
});

Deno.test("of any batches either nothing is read, or records and gaps are every offset once", () => {
  let read = 0;
  fc.assert(
    fc.property(fc.array(anyBatch, { minLength: 1, maxLength: 3 }), fc.nat({ max: 6 }), (all, skipped) => {
      let first = 10;
      const batches = all.map((one) => {
        const { deltas, count = deltas.length, lastDelta = deltas.length - 1, compression, space } = one;
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
        const slice = accountedFor(sliceOf(response(batches), 10 + skipped));
        if (slice.records.length > 0) read++;
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
    }),
    property("batches that contradict themselves", 5_000),
  );
  ok(read > 500, `only ${read} had records`);
});
