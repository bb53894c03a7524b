import { deepStrictEqual, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { Records, RecordTable } from "../../../../workers/_shared/kafka/records.ts";
import { gapSlice, type OpenBatch, type Slice } from "../../../../workers/consumer/kafka_partition/slice.ts";
import { LEDGER, openPartition as openPartitionWith, records } from "../../../support/batch.ts";
import { eventually } from "../../../../lab/eventually.ts";

const GAP_BYTES = gapSlice(0, 1, "control").bytes;

/** Creates a partition that passes each open batch to the test. */
async function openPartition(memoryBudget = { maxBytes: 1_000_000, usedBytes: 0 }) {
  const batches: OpenBatch[] = [];
  const gates: ((slice: Slice) => void)[] = [];
  const { partition, changes } = await openPartitionWith({
    write: async (_ledger, batch) => {
      batches.push(batch);
      const { next } = await new Promise<Slice>((resolve) => gates.push(resolve));
      return next;
    },
  }, { bufferBytes: 10_000, batchRecords: 4, batchBytes: 10_000, memoryBudget });
  const batch = () => eventually("a batch", () => batches.shift());
  return { partition, batch, written: (slice: Slice) => gates.shift()?.(slice), changes };
}

const gap = (from: number, to: number) => gapSlice(from, to, "control");

Deno.test("an open batch takes new slices until it is closed, and the next batch takes later slices", async () => {
  const { partition, batch, written } = await openPartition();
  partition.accept(gap(10, 12));
  const first = await batch();
  partition.accept(gap(12, 20));
  const closed = first.close();
  deepStrictEqual([closed.from, closed.next], [10, 20]);
  partition.accept(gap(20, 22));
  strictEqual(closed.next, 20);
  written(closed);
  const second = (await batch()).close();
  deepStrictEqual([second.from, second.next], [20, 22]);
  written(second);
  await eventually("all records to be written", () => partition.isDrained);
  strictEqual(partition.nextOffset, 22);
});

Deno.test("slices from a new position do not join a batch that was opened before", async () => {
  const { partition, batch, written } = await openPartition();
  partition.accept(gap(10, 12));
  const old = await batch();
  partition.reopen({ ...LEDGER, id: 2, generation: 1, nextOffset: 0 });
  partition.accept(gap(0, 5));
  const closed = old.close();
  deepStrictEqual([closed.from, closed.next], [10, 12]);
  written(closed);
  await partition[Symbol.asyncDispose]();
});

Deno.test("slices in a batch leave the buffer at once, but count in the memory budget until the batch is written", async () => {
  const memoryBudget = { maxBytes: 3 * GAP_BYTES, usedBytes: 0 };
  const { partition, batch, written, changes } = await openPartition(memoryBudget);
  partition.accept(gap(10, 12));
  const open = await batch();
  partition.accept(gap(12, 14));
  partition.accept(gap(14, 16));
  strictEqual(memoryBudget.usedBytes >= memoryBudget.maxBytes, true);
  const before = changes();
  const closed = open.close();
  strictEqual(changes(), before + 1, "the fetch loop was not notified");
  strictEqual(
    memoryBudget.usedBytes >= memoryBudget.maxBytes,
    true,
    "the memory did not count during the write",
  );
  written(closed);
  await eventually("all records to be written", () => partition.isDrained);
  memoryBudget.usedBytes += 3 * GAP_BYTES - 1;
  strictEqual(
    memoryBudget.usedBytes >= memoryBudget.maxBytes,
    false,
    "the memory was not freed after the write",
  );
});

Deno.test("the record count of an open batch includes waiting slices, up to the limit", async () => {
  const { partition, batch, written } = await openPartition();
  partition.accept(records(10, 1));
  const open = await batch();
  strictEqual(open.count(), 1);
  partition.accept(records(11, 2));
  strictEqual(open.count(), 3);
  partition.accept(records(13, 2));
  strictEqual(open.count(), 4);
  const closed = open.close();
  strictEqual(closed.records.length, 3, "the batch must take whole slices as long as they fit");
  written(closed);
  const next = (await batch()).close();
  deepStrictEqual([next.from, next.next], [13, 15]);
  written(next);
});

/** Creates two records in separate memory, like the records of a decompressed batch. */
function decompressed(from: number): { readonly slice: Slice; readonly heldBytes: () => number } {
  const table = new RecordTable(Buffer.allocUnsafeSlow(1024 * 1024), 2);
  for (let index = 0; index < 2; index++) table.add(from + index, from + index, 0, -1, 0, 1);
  const both = new Records([{ table, from: 0, to: 2 }]);
  return {
    slice: { ...records(from, 2), records: both, bytes: 1, ownTables: [table] },
    heldBytes: () => table.bytes.length,
  };
}

Deno.test("a partition frees decompressed memory when the last record in it is written", async () => {
  const { partition, finishWrites } = await openPartitionWith({}, { batchRecords: 1 });
  const { slice, heldBytes } = decompressed(10);
  partition.accept(slice);
  await finishWrites();
  await eventually("the first record", () => partition.nextOffset === 11);
  strictEqual(heldBytes(), 1024 * 1024);
  await finishWrites();
  await eventually("the second", () => partition.isDrained);
  strictEqual(heldBytes(), 0);
  // The timestamp of the last record was read before its memory was freed.
  strictEqual(partition.lastTimestampMs, 11);
});

Deno.test("a partition does not free the memory of a stale batch, because the store may still use it", async () => {
  const { partition } = await openPartitionWith({ write: () => Promise.resolve(11) });
  const { slice, heldBytes } = decompressed(10);
  partition.accept(slice);
  await eventually("the answer", () => partition.nextOffset === 11);
  strictEqual(heldBytes(), 1024 * 1024);
});
