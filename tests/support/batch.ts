/** Batches for tests that write them themselves. */
import type { OpenBatch, Slice } from "../../workers/consumer/kafka_partition/slice.ts";
import { recordsOf } from "./record_batch.ts";

/** One that nothing joins, and that is closed once. */
export function batchOf(slice: Slice): OpenBatch {
  let closed = false;
  return {
    count: () => slice.records.length,
    close: () => {
      if (closed) throw new TypeError("the batch is closed already");
      closed = true;
      return slice;
    },
  };
}

/** A stretch of empty records, with their offsets as timestamps. @param bytes that each of them takes */
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
    logEnd: next,
    leaderEpoch,
    bytes: bytes * count,
    own: [],
  };
}
