/** Batches for tests that write them themselves. */
import type { OpenBatch, Slice } from "../../workers/consumer/slice.ts";

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
