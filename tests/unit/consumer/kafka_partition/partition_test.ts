import { deepStrictEqual, ok, strictEqual } from "node:assert";
import type { Partition } from "../../../../workers/consumer/kafka_partition/partition.ts";
import { gapSlice, type Slice } from "../../../../workers/consumer/kafka_partition/slice.ts";
import { LEDGER, openPartition, records, startPartition } from "../../../support/batch.ts";
import { recordsOf } from "../../../support/record_batch.ts";
import { eventually } from "../../../../lab/eventually.ts";

function sized(from: number, lengths: readonly number[]): Slice {
  const all = lengths.map((length, index) => {
    return { offset: from + index, timestampMs: 0, key: null, value: new Uint8Array(length) };
  });
  const bytes = lengths.reduce((sum, length) => sum + length, 0);
  return { ...records(from, lengths.length), records: recordsOf(all), bytes };
}

Deno.test("a partition wants no records until its ledger row is read, and then reads from the row's offset", async () => {
  const { promise, resolve } = Promise.withResolvers<typeof LEDGER>();
  const { partition, changes } = startPartition({ open: () => promise });
  strictEqual(partition.wantsRecords, false);
  partition.accept(records(0, 3));
  resolve(LEDGER);
  await eventually("the ledger", () => partition.wantsRecords);
  strictEqual(partition.fetchOffset, 10);
  strictEqual(changes(), 1);
});

Deno.test("a partition drops a slice that does not begin at its fetch offset", async () => {
  const { partition, written, finishWrites } = await openPartition();
  partition.accept(records(9, 3));
  partition.accept(records(11, 3));
  partition.accept(records(10, 0));
  strictEqual(partition.fetchOffset, 10);
  partition.accept(records(10, 2));
  await finishWrites();
  await eventually("the write", () => partition.isDrained);
  deepStrictEqual(written, ["10 to 12"]);
});

Deno.test("a partition writes in order, and joins waiting slices into one batch up to the limit", async () => {
  const { partition, written, finishWrites } = await openPartition();
  partition.accept(records(10, 2));
  await eventually("the first write", () => written.length === 1);
  partition.accept(records(12, 2));
  partition.accept(records(14, 2));
  partition.accept(gapSlice(16, 19, "control"));
  partition.accept(gapSlice(19, 20, "aborted"));
  partition.accept(records(20, 9));
  await finishWrites(5);
  await eventually("all records to be written", () => partition.isDrained);
  // A batch has at most five rows, and a gap counts as a row. A longer slice, for example of a compressed batch, is split.
  deepStrictEqual(written, ["10 to 12", "12 to 19", "19 to 20", "20 to 25", "25 to 29"]);
  strictEqual(partition.nextOffset, 29);
  strictEqual(partition.lastTimestampMs, 28);
});

Deno.test("a partition writes at most the byte limit in a batch, unless a single record is larger", async () => {
  const { partition, written, finishWrites } = await openPartition({}, {
    bufferBytes: 100_000,
    batchRecords: 50,
    batchBytes: 1_000,
  });
  // All records are in one slice, as from one compressed batch.
  partition.accept(sized(10, [400, 400, 400, 3_000, 400]));
  partition.accept(sized(15, [50]));
  partition.accept(sized(16, [600]));
  await finishWrites(5);
  await eventually("all records to be written", () => partition.isDrained);
  deepStrictEqual(written, ["10 to 12", "12 to 13", "13 to 14", "14 to 15", "15 to 17"]);
});

Deno.test("a partition wants no records while its buffer is full", async () => {
  const { partition, written, finishWrites } = await openPartition();
  partition.accept(records(10, 1));
  partition.accept(records(11, 10));
  strictEqual(partition.wantsRecords, false);
  await finishWrites();
  await eventually("the first part of the long slice", () => written.length === 2);
  strictEqual(partition.wantsRecords, false, "a partly written slice must use its whole memory");
  await finishWrites();
  await eventually("room", () => partition.wantsRecords);
  await finishWrites();
});

Deno.test("partitions want no records while their waiting and unwritten records use up the shared memory budget", async () => {
  const memoryBudget = { maxBytes: 1_000, usedBytes: 0 };
  const many = Array.from({ length: 40 }, () => startPartition({}, { memoryBudget }));
  await eventually("the ledgers", () => many.every(({ partition }) => partition.wantsRecords));
  let held = 0;
  for (const { partition } of many) {
    if (!partition.wantsRecords) continue;
    partition.accept(records(10, 3, 30));
    held += 90;
  }
  strictEqual(held, 1_080, "the partitions must share one budget");
  await eventually("the first writes", () => many.filter(({ written }) => written.length > 0).length === 12);
  ok(many.every(({ partition }) => !partition.wantsRecords), "records must count while they are written");
  await many[0]?.finishWrites();
  await eventually("free memory for another partition", () => many[20]?.partition.wantsRecords);
  many[20]?.partition.accept(records(10, 3, 30));
  strictEqual(many[21]?.partition.wantsRecords, false);
  // A partition that moves to another offset or closes frees its memory for the others.
  many[20]?.partition.reopen({ ...LEDGER, nextOffset: 30 });
  const closing = many[1]?.partition[Symbol.asyncDispose]();
  await many[1]?.finishWrites();
  await closing;
  await eventually("their free memory", () => many[21]?.partition.wantsRecords);
  await Promise.all(many.map(async ({ partition, finishWrites }, index) => {
    const closed = partition[Symbol.asyncDispose]();
    if (index > 1 && index < 12) await finishWrites();
    await closed;
  }));
});

Deno.test("after a stale batch, a partition drops its waiting records and continues at the offset of the other owner", async () => {
  let stale = false;
  const written: string[] = [];
  const { partition } = await openPartition({
    write: (_ledger, batch) => {
      const slice = batch.close();
      written.push(`${slice.from} to ${slice.next}`);
      return Promise.resolve(stale ? 40 : slice.next);
    },
  });
  strictEqual(partition.lastEpoch, 4, "the epoch in the ledger");
  partition.accept(records(10, 2, 10, 7));
  strictEqual(partition.lastEpoch, 7);
  await eventually("the write", () => partition.nextOffset === 12);
  strictEqual(partition.ledger?.leaderEpoch, 7);
  stale = true;
  partition.accept(records(12, 2, 10, 7));
  partition.accept(records(14, 2, 10, 7));
  await eventually("the offset of the other owner", () => partition.fetchOffset === 40);
  deepStrictEqual(
    [partition.nextOffset, partition.lastEpoch],
    [40, -1],
    "the epoch of the other owner's last record is unknown",
  );
  stale = false;
  partition.accept(records(40, 2));
  await eventually("the next batch", () => partition.nextOffset === 42);
  strictEqual(written.at(-1), "40 to 42");
});

Deno.test("a partition opens its ledger row again if the row is gone, and reads from the offset of the new row", async () => {
  let known = true;
  let opens = 0;
  const { partition } = await openPartition({
    open: () => Promise.resolve({ ...LEDGER, id: ++opens, nextOffset: opens === 1 ? 10 : 4 }),
    write: (_ledger, batch) => Promise.resolve(known ? batch.close().next : "gone"),
  });
  known = false;
  partition.accept(records(10, 2));
  partition.accept(records(12, 2));
  await eventually("the other ledger", () => partition.ledger?.id === 2);
  strictEqual(partition.fetchOffset, 4);
  known = true;
  partition.accept(records(4, 2));
  await eventually("the next batch", () => partition.nextOffset === 6);
});

Deno.test("a waiting partition opens its ledger row again on request", async () => {
  let opens = 0;
  const { partition } = await openPartition({
    open: () => Promise.resolve({ ...LEDGER, nextOffset: ++opens === 1 ? 10 : 4 }),
  });
  partition.reopenLedger();
  await eventually("the older offset", () => partition.fetchOffset === 4);
});

Deno.test("a request to open the ledger row again ends a running offset reset", async () => {
  const searches: AbortSignal[] = [];
  let opens = 0;
  const { partition } = await openPartition({
    open: () => Promise.resolve({ ...LEDGER, nextOffset: ++opens === 1 ? 10 : 4 }),
    resolveOffsetReset: (_partition, _divergence, signal) => {
      // The broker is unavailable, so only the signal ends the search.
      searches.push(signal);
      return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
    },
  });
  partition.offsetLost();
  await eventually("the search", () => searches.length === 1);
  partition.reopenLedger();
  await eventually("the older offset", () => partition.fetchOffset === 4);
  strictEqual(partition.wantsRecords, true, "the broker decides whether the offset exists");
  partition.offsetLost();
  await eventually("another search", () => searches.length === 2);
  deepStrictEqual(searches.map(({ aborted }) => aborted), [true, false]);
});

Deno.test("a partition that closes finishes its current batch and drops its waiting records", async () => {
  const { partition, written, finishWrites } = await openPartition();
  partition.accept(records(10, 2));
  await eventually("the write", () => written.length === 1);
  partition.accept(records(12, 2));
  const closed = partition[Symbol.asyncDispose]();
  await finishWrites();
  await closed;
  deepStrictEqual(written, ["10 to 12"]);
  strictEqual(partition.nextOffset, 12);
  partition.accept(records(14, 2));
  strictEqual(partition.wantsRecords, false);
});

Deno.test("a partition whose offset is out of range writes its records before the offset reset begins, and fetches nothing until then", async () => {
  const resets: unknown[] = [];
  const { partition, finishWrites } = await openPartition({
    resolveOffsetReset: ({ nextOffset, fetchOffset }, divergence) => {
      resets.push([nextOffset, fetchOffset, divergence]);
      partition.offsetResolved("reading");
      return Promise.resolve();
    },
  });
  const divergence = { epoch: 3, endOffset: 9 };
  partition.accept(records(10, 2));
  partition.offsetLost(divergence);
  partition.accept(records(12, 2));
  deepStrictEqual([partition.wantsRecords, partition.fetchOffset, resets], [false, 12, []]);
  await finishWrites();
  await eventually("the reset", () => partition.wantsRecords);
  deepStrictEqual(resets, [[12, 12, divergence]]);
});

Deno.test("each event moves a partition to the expected state or changes nothing", async () => {
  const events: Record<string, (partition: Partition) => unknown> = {
    offsetLost: (partition) => partition.offsetLost(),
    offsetResolved: (partition) => partition.offsetResolved("reading"),
    hold: (partition) => partition.offsetResolved("held"),
    skip: (partition) => partition.skip(partition.fetchOffset + 5, "log_start"),
    accept: (partition) => partition.accept(records(partition.fetchOffset, 2)),
    reopen: (partition) => partition.reopen(LEDGER),
  };
  const states: Record<string, (partition: Partition) => unknown> = {
    reading: () => {},
    resetting: (partition) => partition.offsetLost(),
    held: (partition) => [partition.offsetLost(), partition.offsetResolved("held")],
    closed: (partition) => partition[Symbol.asyncDispose](),
  };
  const moves: Record<string, string> = {};
  for (const [state, arrive] of Object.entries(states)) {
    for (const [event, apply] of Object.entries(events)) {
      const { partition } = await openPartition({
        write: (_ledger, batch) => Promise.resolve(batch.close().next),
      });
      await arrive(partition);
      deepStrictEqual([partition.state, partition.wantsRecords], [state, state === "reading"]);
      apply(partition);
      moves[`${state} ${event}`] = `${partition.state} ${partition.fetchOffset}`;
    }
  }
  const moved = Object.entries(moves).filter(([from, to]) => to !== `${from.split(" ")[0]} 10`);
  deepStrictEqual(Object.fromEntries(moved), {
    "reading offsetLost": "resetting 10",
    "reading skip": "reading 15",
    "reading accept": "reading 12",
    "resetting offsetResolved": "reading 10",
    "resetting hold": "held 10",
    "resetting skip": "resetting 15",
    "resetting reopen": "reading 10",
    "held reopen": "reading 10",
  });
});

Deno.test("the fetchable lag of an unreachable or held partition counts only its fetched records", async () => {
  const { partition, finishWrites } = await openPartition();
  partition.lastStableOffset = 100;
  partition.accept(records(10, 3));
  strictEqual(partition.fetchableLag, 90);
  partition.fetchStatus.failed();
  strictEqual(partition.fetchableLag, 3);
  await finishWrites();
  await eventually("the write", () => partition.isDrained);
  strictEqual(partition.fetchableLag, 0);
  partition.fetchStatus.answered();
  strictEqual(partition.fetchableLag, 87);
  partition.offsetLost();
  partition.offsetResolved("held");
  strictEqual(partition.fetchableLag, 0);
});
