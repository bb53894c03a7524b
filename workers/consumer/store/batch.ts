/**
 * Folder `store`: writes the batches of a partition to PostgreSQL. One transaction stores readings, rejects and gaps, moves the
 * next offset, and adds the change row for the rollup. The entry point is `store.ts`. This folder does not use Kafka.
 *
 * This file: the states of a batch, and the outcomes of its transaction.
 */
import type { RejectReason } from "../../_shared/record/heartbeat.ts";
import type { Offset, RawRecord, Records } from "../../_shared/kafka/records.ts";
import type { Instant } from "../day_partitions/floor.ts";
import type { LedgerRow } from "../kafka_partition/partition.ts";
import type { Slice } from "../kafka_partition/slice.ts";
import type { Readings } from "./readings.ts";

export interface Reject {
  readonly record: RawRecord;
  readonly reason: RejectReason;
  readonly detail: string;
}

/** Counts the offsets of a batch: each offset is in exactly one of these numbers. */
export interface Counts {
  readonly stored: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly gaps: number;
}

/** The decoded records of a batch. A *row* is an index into the columns of `readings`. */
export interface Plan {
  readonly records: Records;
  readonly readings: Readings;
  /** All rows, ordered by customer, time and offset. */
  readonly rows: Int32Array;
  /** The indexes in `rows` at which a key (customer and instant) begins. The last element is `rows.length`. */
  readonly keys: Int32Array;
  readonly rejects: readonly Reject[];
  /** The floor of this plan, if it has a `too_old` reject; otherwise undefined. */
  readonly floor: Instant;
}

export interface PlannedBatch {
  readonly ledger: LedgerRow;
  /** The whole batch, or only its first part after a failed attempt. */
  readonly slice: Slice;
  readonly plan: Plan;
}

export interface WrittenBatch extends PlannedBatch {
  readonly kind: "written";
  readonly counts: Counts;
  /** The stored rows of `plan.readings`, ordered by customer and time. */
  readonly stored: Int32Array;
  /** Includes the rejects of the plan. */
  readonly rejects: readonly Reject[];
}

/**
 * Nothing was written, because `next_offset` is not the first offset of the batch. Another owner moved it, a COMMIT of this consumer
 * moved it and the answer was lost, or the database was replaced by an older copy of itself.
 */
export interface OffsetMismatch {
  readonly kind: "offset mismatch";
  /** Undefined when the ledger row is gone. */
  readonly nextOffset: Offset | undefined;
}

export type WriteOutcome =
  | WrittenBatch
  | OffsetMismatch
  /** Nothing was written: the batch must be planned with this floor. */
  | { readonly kind: "floor moved"; readonly floor: Instant }
  /** The answer to COMMIT was lost. `next_offset` shows whether the batch was written. */
  | { readonly kind: "unknown"; readonly written: WrittenBatch; readonly error: unknown };

export type BatchOutcome =
  | WrittenBatch
  | OffsetMismatch
  /** The consumer is stopping. `next_offset` shows whether the batch was written. */
  | { readonly kind: "abandoned" };
