import type { BacklogLimits } from "../../workers/consumer/kafka_partition/backlog.ts";
import { Partition, type PartitionPorts } from "../../workers/consumer/kafka_partition/partition.ts";
import type { OpenBatch, Slice } from "../../workers/consumer/kafka_partition/slice.ts";
import { eventually } from "../../lab/eventually.ts";
import { recordsOf } from "./record_batch.ts";

const LOG = { topic: "t", topicId: "i", partition: 3 };
export const LEDGER = { ...LOG, id: 1, generation: 0, firstOffset: 0, nextOffset: 10, leaderEpoch: 4 };

const running: (() => Promise<void>)[] = [];
Deno.test.afterEach(async () => {
  await Promise.all(running.splice(0).map((close) => close()));
});

/**
 * A partition without Kafka and PostgreSQL. Each write waits for `finishWrites()`. The partition is closed after the test,
 * even if the test fails.
 */
export function startPartition(overrides: Partial<PartitionPorts> = {}, own: Partial<BacklogLimits> = {}) {
  const limits = {
    bufferBytes: 100,
    batchRecords: 5,
    batchBytes: 1_000,
    memoryBudget: { maxBytes: 1_000_000, usedBytes: 0 },
    ...own,
  };
  const written: string[] = [];
  const gates: (() => void)[] = [];
  let changes = 0;
  const partition = new Partition(LOG, {
    open: () => Promise.resolve(LEDGER),
    write: async (_ledger, batch) => {
      const slice = batch.close();
      written.push(`${slice.from} to ${slice.next}`);
      await new Promise<void>((resolve) => gates.push(resolve));
      return slice.next;
    },
    resolveOffsetReset: (_partition, _divergence, signal) => {
      return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
    },
    onChange: () => changes++,
    ...overrides,
  }, limits);
  partition.start((error) => {
    throw error;
  });
  running.push(async () => {
    const closed = partition[Symbol.asyncDispose]();
    for (const open of gates) open();
    await closed;
  });
  const finishWrites = async (writes = 1) => {
    for (; writes > 0; writes--) (await eventually("a write", () => gates.shift()))();
  };
  return { partition, written, finishWrites, changes: () => changes };
}

/** A partition that has opened its ledger row and accepts records. */
export async function openPartition(...options: Parameters<typeof startPartition>) {
  const one = startPartition(...options);
  await eventually("the partition to open its ledger row", () => one.partition.wantsRecords);
  return one;
}

/** A batch that no other batch joins, and that can be closed only once. */
export function batchOf(slice: Slice): OpenBatch {
  let closed = false;
  return {
    count: () => slice.records.length,
    close: () => {
      if (closed) throw new TypeError("the batch is already closed");
      closed = true;
      return slice;
    },
  };
}

/**
 * A slice of records without key and value.
 * @param bytes memory that each record counts for
 */
export function records(from: number, count: number, bytes = 10, leaderEpoch = 4): Slice {
  const all = Array.from({ length: count }, (_, index) => {
    return { offset: from + index, timestampMs: from + index, key: null, value: null };
  });
  const next = from + count;
  return {
    from,
    next,
    records: recordsOf(all),
    gaps: [],
    leaderEpoch,
    bytes: bytes * count,
    ownTables: [],
  };
}
