/** Batches for tests that write them themselves. */
import type { OpenBatch, Slice } from "../../workers/consumer/slice.ts";

/** One that nothing joins. */
export function batchOf(slice: Slice): OpenBatch {
  return { count: () => slice.records.length, close: () => slice };
}
