import { deepStrictEqual, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { Records, RecordTable } from "../../../../workers/_shared/kafka/records.ts";
import { gapSlice, type OpenBatch, type Slice } from "../../../../workers/consumer/kafka_partition/slice.ts";
import { LEDGER, opened as openedWith, records } from "../../../support/batch.ts";
import { eventually } from "../../../../lab/eventually.ts";

/** Of a stretch that holds no record. */
const STRETCH_BYTES = gapSlice(0, 1, "control").bytes;

/** A partition that hands each of its batches to the test, open. */
async function opened(memoryBudget = { maxBytes: 1_000_000, usedBytes: 0 }) {
  const batches: OpenBatch[] = [];
  const gates: ((slice: Slice) => void)[] = [];
  const { partition, changes } = await openedWith({
    write: async (_ledger, batch) => {
      batches.push(batch);
      const { next } = await new Promise<Slice>((resolve) => gates.push(resolve));
      return next;
    },
  }, { bufferBytes: 10_000, batchRecords: 4, batchBytes: 10_000, memoryBudget });
  const batch = () => eventually("a batch", () => batches.shift());
  return { partition, batch, written: (slice: Slice) => gates.shift()?.(slice), changes };
}

const stretch = (from: number, to: number) => gapSlice(from, to, "control");

Deno.test("a batch takes what comes until it is closed, and the next one what comes later", async () => {
  const { partition, batch, written } = await opened();
  partition.accept(stretch(10, 12));
  const first = await batch();
  partition.accept(stretch(12, 20));
  const closed = first.close();
  deepStrictEqual([closed.from, closed.next], [10, 20]);
  partition.accept(stretch(20, 22));
  strictEqual(closed.next, 20);
  written(closed);
  const second = (await batch()).close();
  deepStrictEqual([second.from, second.next], [20, 22]);
  written(second);
  await eventually("all of it", () => partition.isDrained);
  strictEqual(partition.nextOffset, 22);
});

Deno.test("what was fetched anew from elsewhere does not join a batch", async () => {
  const { partition, batch, written } = await opened();
  partition.accept(stretch(10, 12));
  const old = await batch();
  partition.reopen({ ...LEDGER, id: 2, generation: 1, nextOffset: 0 });
  partition.accept(stretch(0, 5));
  const closed = old.close();
  deepStrictEqual([closed.from, closed.next], [10, 12]);
  written(closed);
  await partition[Symbol.asyncDispose]();
});

Deno.test("what joins a batch is held until the batch is written, and makes room in the buffer at once", async () => {
  const memoryBudget = { maxBytes: 3 * STRETCH_BYTES, usedBytes: 0 };
  const { partition, batch, written, changes } = await opened(memoryBudget);
  partition.accept(stretch(10, 12));
  const open = await batch();
  partition.accept(stretch(12, 14));
  partition.accept(stretch(14, 16));
  strictEqual(memoryBudget.usedBytes >= memoryBudget.maxBytes, true);
  const before = changes();
  const closed = open.close();
  strictEqual(changes(), before + 1, "who fetches is told");
  strictEqual(memoryBudget.usedBytes >= memoryBudget.maxBytes, true, "it is held while it is written");
  written(closed);
  await eventually("all of it", () => partition.isDrained);
  memoryBudget.usedBytes += 3 * STRETCH_BYTES - 1;
  strictEqual(memoryBudget.usedBytes >= memoryBudget.maxBytes, false, "nothing of it is held any more");
});

Deno.test("a batch counts what would join it, and no more than it may have", async () => {
  const { partition, batch, written } = await opened();
  partition.accept(records(10, 1));
  const open = await batch();
  strictEqual(open.count(), 1);
  partition.accept(records(11, 2));
  strictEqual(open.count(), 3);
  partition.accept(records(13, 2));
  strictEqual(open.count(), 4);
  const closed = open.close();
  strictEqual(closed.records.length, 3, "whole stretches, as far as they fit");
  written(closed);
  const next = (await batch()).close();
  deepStrictEqual([next.from, next.next], [13, 15]);
  written(next);
});

/** Two records over memory of its own, as what was decompressed is. */
function decompressed(from: number): { readonly slice: Slice; readonly heldBytes: () => number } {
  const table = new RecordTable(Buffer.allocUnsafeSlow(1024 * 1024), 2);
  for (let index = 0; index < 2; index++) table.add(from + index, from + index, 0, -1, 0, 1);
  const stretch = new Records([{ table, from: 0, to: 2 }]);
  return {
    slice: { ...records(from, 2), records: stretch, bytes: 1, ownTables: [table] },
    heldBytes: () => table.bytes.length,
  };
}

Deno.test("a partition frees what was decompressed when the last of it is written, and not before", async () => {
  const { partition, letGo } = await openedWith({}, { batchRecords: 1 });
  const { slice, heldBytes } = decompressed(10);
  partition.accept(slice);
  await letGo();
  await eventually("the first record", () => partition.nextOffset === 11);
  strictEqual(heldBytes(), 1024 * 1024);
  await letGo();
  await eventually("the second", () => partition.isDrained);
  strictEqual(heldBytes(), 0);
  // What is known of the last record was read before.
  strictEqual(partition.lastTimestampMs, 11);
});

Deno.test("a partition frees nothing whose offset turned out to be elsewhere: who wrote it may still look at it", async () => {
  const { partition } = await openedWith({ write: () => Promise.resolve(11) });
  const { slice, heldBytes } = decompressed(10);
  partition.accept(slice);
  await eventually("the answer", () => partition.nextOffset === 11);
  strictEqual(heldBytes(), 1024 * 1024);
});
