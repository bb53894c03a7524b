import { deepStrictEqual, ok, strictEqual } from "node:assert";
import type { Partition } from "../../../../workers/consumer/kafka_partition/partition.ts";
import { gapSlice, type Slice } from "../../../../workers/consumer/kafka_partition/slice.ts";
import { LEDGER, opened, records, started } from "../../../support/batch.ts";
import { recordsOf } from "../../../support/record_batch.ts";
import { eventually } from "../../../../lab/eventually.ts";

/** Records with values of these lengths. */
function sized(from: number, lengths: readonly number[]): Slice {
  const all = lengths.map((length, index) => {
    return { offset: from + index, timestampMs: 0, key: null, value: new Uint8Array(length) };
  });
  const bytes = lengths.reduce((sum, length) => sum + length, 0);
  return { ...records(from, lengths.length), records: recordsOf(all), bytes };
}

Deno.test("a partition asks for nothing before its ledger is read, and then from the ledger's offset", async () => {
  const { promise, resolve } = Promise.withResolvers<typeof LEDGER>();
  const { partition, changes } = started({ open: () => promise });
  strictEqual(partition.wantsRecords, false);
  partition.accept(records(0, 3));
  resolve(LEDGER);
  await eventually("the ledger", () => partition.wantsRecords);
  strictEqual(partition.fetchOffset, 10);
  strictEqual(changes(), 1);
});

Deno.test("a partition drops a stretch that does not continue what it has", async () => {
  const { partition, written, letGo } = await opened();
  partition.accept(records(9, 3));
  partition.accept(records(11, 3));
  partition.accept(records(10, 0));
  strictEqual(partition.fetchOffset, 10);
  partition.accept(records(10, 2));
  await letGo();
  await eventually("the write", () => partition.isDrained);
  deepStrictEqual(written, ["10 to 12"]);
});

Deno.test("a partition writes in order, what gathered meanwhile in one batch up to its limit", async () => {
  const { partition, written, letGo } = await opened();
  partition.accept(records(10, 2));
  await eventually("the first write", () => written.length === 1);
  partition.accept(records(12, 2));
  partition.accept(records(14, 2));
  // A gap is a row too.
  partition.accept(gapSlice(16, 19, "control"));
  partition.accept(gapSlice(19, 20, "aborted"));
  partition.accept(records(20, 9));
  // Five records at most: a longer stretch, as compressed records make it, is split.
  await letGo(5);
  await eventually("all of it", () => partition.isDrained);
  deepStrictEqual(written, ["10 to 12", "12 to 19", "19 to 20", "20 to 25", "25 to 29"]);
  strictEqual(partition.nextOffset, 29);
  strictEqual(partition.lastTimestampMs, 28);
});

Deno.test("a partition writes no more bytes in a batch than its limit, unless one record alone has more", async () => {
  const { partition, written, letGo } = await opened({}, {
    bufferBytes: 100_000,
    batchRecords: 50,
    batchBytes: 1_000,
  });
  // One stretch, as of one compressed batch: 400 bytes a record, but 3,000 the fourth.
  partition.accept(sized(10, [400, 400, 400, 3_000, 400]));
  partition.accept(sized(15, [50]));
  partition.accept(sized(16, [600]));
  await letGo(5);
  await eventually("all of it", () => partition.isDrained);
  deepStrictEqual(written, ["10 to 12", "12 to 13", "13 to 14", "14 to 15", "15 to 17"]);
});

Deno.test("a partition asks for no more while its buffer is full, and again when there is room", async () => {
  const { partition, written, letGo } = await opened();
  partition.accept(records(10, 1));
  partition.accept(records(11, 10));
  strictEqual(partition.wantsRecords, false);
  await letGo();
  await eventually("the long stretch's first part", () => written.length === 2);
  strictEqual(partition.wantsRecords, false, "its memory is not free before all of it is written");
  await letGo();
  await eventually("room", () => partition.wantsRecords);
  await letGo();
});

Deno.test("partitions ask for no more while together they hold too much, waiting or being written", async () => {
  const memoryBudget = { maxBytes: 1_000, usedBytes: 0 };
  const many = Array.from({ length: 40 }, () => started({}, { memoryBudget }));
  await eventually("the ledgers", () => many.every(({ partition }) => partition.wantsRecords));
  let held = 0;
  for (const { partition } of many) {
    if (!partition.wantsRecords) continue;
    partition.accept(records(10, 3, 30));
    held += 90;
  }
  strictEqual(held, 1_080, "each had a budget of its own");
  await eventually("the first writes", () => many.filter(({ written }) => written.length > 0).length === 12);
  ok(many.every(({ partition }) => !partition.wantsRecords), "what is being written is held too");
  await many[0]?.letGo();
  await eventually("room for others", () => many[20]?.partition.wantsRecords);
  // Whoever closes or moves away leaves its room to the others.
  many[20]?.partition.accept(records(10, 3, 30));
  strictEqual(many[21]?.partition.wantsRecords, false);
  many[20]?.partition.reopen({ ...LEDGER, nextOffset: 30 });
  const closing = many[1]?.partition[Symbol.asyncDispose]();
  await many[1]?.letGo();
  await closing;
  await eventually("their room", () => many[21]?.partition.wantsRecords);
  await Promise.all(many.map(async ({ partition, letGo }, index) => {
    const closed = partition[Symbol.asyncDispose]();
    if (index > 1 && index < 12) await letGo();
    await closed;
  }));
});

Deno.test("a partition whose batch was stale reads on from where the other owner is, and drops what waits", async () => {
  let stale = false;
  const written: string[] = [];
  const { partition } = await opened({
    write: (_ledger, batch) => {
      const slice = batch.close();
      written.push(`${slice.from} to ${slice.next}`);
      return Promise.resolve(stale ? 40 : slice.next);
    },
  });
  strictEqual(partition.lastEpoch, 4, "what the ledger keeps");
  partition.accept(records(10, 2, 10, 7));
  strictEqual(partition.lastEpoch, 7);
  await eventually("the write", () => partition.nextOffset === 12);
  strictEqual(partition.ledger?.leaderEpoch, 7);
  stale = true;
  partition.accept(records(12, 2, 10, 7));
  partition.accept(records(14, 2, 10, 7));
  await eventually("the other's offset", () => partition.fetchOffset === 40);
  deepStrictEqual([partition.nextOffset, partition.lastEpoch], [40, -1], "whose epoch is not known");
  stale = false;
  partition.accept(records(40, 2));
  await eventually("the next batch", () => partition.nextOffset === 42);
  strictEqual(written.at(-1), "40 to 42");
});

Deno.test("a partition opens its ledger anew when the database does not know it any more, and reads from there", async () => {
  let known = true;
  let opens = 0;
  const { partition } = await opened({
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

Deno.test("a partition that waits opens its ledger anew when somebody doubts it", async () => {
  let opens = 0;
  const { partition } = await opened({
    open: () => Promise.resolve({ ...LEDGER, nextOffset: ++opens === 1 ? 10 : 4 }),
  });
  partition.reopenLedger();
  await eventually("the older offset", () => partition.fetchOffset === 4);
});

Deno.test("a partition that is doubted while its place is sought ends the search and opens its ledger anew", async () => {
  const searches: AbortSignal[] = [];
  let opens = 0;
  const { partition } = await opened({
    open: () => Promise.resolve({ ...LEDGER, nextOffset: ++opens === 1 ? 10 : 4 }),
    // The broker is away: nothing but the signal ends it.
    resolveOffsetReset: (_partition, _divergence, signal) => {
      searches.push(signal);
      return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
    },
  });
  partition.offsetLost();
  await eventually("the search", () => searches.length === 1);
  partition.reopenLedger();
  await eventually("the older offset", () => partition.fetchOffset === 4);
  strictEqual(partition.wantsRecords, true, "whether its place is there is for the broker to say");
  partition.offsetLost();
  await eventually("another search", () => searches.length === 2);
  deepStrictEqual(searches.map(({ aborted }) => aborted), [true, false]);
});

Deno.test("a partition that closes finishes the batch in hand and drops what waits", async () => {
  const { partition, written, letGo } = await opened();
  partition.accept(records(10, 2));
  await eventually("the write", () => written.length === 1);
  partition.accept(records(12, 2));
  const closed = partition[Symbol.asyncDispose]();
  await letGo();
  await closed;
  deepStrictEqual(written, ["10 to 12"]);
  strictEqual(partition.nextOffset, 12);
  partition.accept(records(14, 2));
  strictEqual(partition.wantsRecords, false);
});

Deno.test("a partition whose log lost its place has it looked into when what it has is written, and asks for nothing until then", async () => {
  const looks: unknown[] = [];
  const { partition, letGo } = await opened({
    resolveOffsetReset: ({ nextOffset, fetchOffset }, divergence) => {
      looks.push([nextOffset, fetchOffset, divergence]);
      partition.offsetResolved("reading");
      return Promise.resolve();
    },
  });
  const divergence = { epoch: 3, endOffset: 9 };
  partition.accept(records(10, 2));
  partition.offsetLost(divergence);
  partition.accept(records(12, 2));
  deepStrictEqual([partition.wantsRecords, partition.fetchOffset, looks], [false, 12, []]);
  await letGo();
  await eventually("the place", () => partition.wantsRecords);
  deepStrictEqual(looks, [[12, 12, divergence]]);
});

Deno.test("facts move a partition from one state to another, or nowhere", async () => {
  const facts: Record<string, (partition: Partition) => unknown> = {
    placeLost: (partition) => partition.offsetLost(),
    placeFound: (partition) => partition.offsetResolved("reading"),
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
    for (const [fact, tell] of Object.entries(facts)) {
      const { partition } = await opened({
        write: (_ledger, batch) => Promise.resolve(batch.close().next),
      });
      await arrive(partition);
      deepStrictEqual([partition.state, partition.wantsRecords], [state, state === "reading"]);
      tell(partition);
      moves[`${state} ${fact}`] = `${partition.state} ${partition.fetchOffset}`;
    }
  }
  const moved = Object.entries(moves).filter(([from, to]) => to !== `${from.split(" ")[0]} 10`);
  deepStrictEqual(Object.fromEntries(moved), {
    "reading placeLost": "resetting 10",
    "reading skip": "reading 15",
    "reading accept": "reading 12",
    "resetting placeFound": "reading 10",
    "resetting hold": "held 10",
    "resetting skip": "resetting 15",
    "resetting reopen": "reading 10",
    "held reopen": "reading 10",
  });
});

Deno.test("a partition out of reach, or held, owes only what it has fetched", async () => {
  const { partition, letGo } = await opened();
  partition.lastStableOffset = 100;
  partition.accept(records(10, 3));
  strictEqual(partition.fetchableLag, 90);
  partition.fetchStatus.failed();
  strictEqual(partition.fetchableLag, 3);
  await letGo();
  await eventually("the write", () => partition.isDrained);
  strictEqual(partition.fetchableLag, 0);
  partition.fetchStatus.answered();
  strictEqual(partition.fetchableLag, 87);
  partition.offsetLost();
  partition.offsetResolved("held");
  strictEqual(partition.fetchableLag, 0);
});
