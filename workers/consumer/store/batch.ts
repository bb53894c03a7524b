/**
 * Folder `store`: writes the batches of a partition to PostgreSQL: readings, rejects, gaps, the next offset and the change for
 * the rollup in one transaction. `store.ts` is the entry point. It judges no record by rules of its own, never waits for the
 * rollup, and never speaks to Kafka.
 *
 * This file: the states of a batch: planned, written, and the outcomes of its transaction.
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
  /** Which field and why. */
  readonly detail: string;
}

/** What became of the offsets of a batch; together they are all its offsets. */
export interface Counts {
  readonly stored: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly gaps: number;
}

/** The records of a batch, decoded and in order. Rows are numbers of `readings`. */
export interface Plan {
  readonly records: Records;
  readonly readings: Readings;
  /** All rows, by customer, time and then the order of the log. */
  readonly rows: Int32Array;
  /** Where in `rows` each key begins, and the end of `rows`. The rows behind the first of a key repeat it. */
  readonly keys: Int32Array;
  readonly rejects: readonly Reject[];
  /** The floor below which readings were rejected as too old; undefined when none was. */
  readonly floor: Instant;
}

export interface PlannedBatch {
  readonly ledger: LedgerRow;
  readonly slice: Slice;
  readonly plan: Plan;
}

/** A batch, or the first part of one, with what becomes of each record. */
export interface WrittenBatch extends PlannedBatch {
  readonly kind: "written";
  readonly counts: Counts;
  /** Rows of the plan's readings that are stored, by customer and time. */
  readonly stored: Int32Array;
  /** Those of the plan, and of the readings that the table or PostgreSQL refused. */
  readonly rejects: readonly Reject[];
}

/**
 * Nothing was written, because the stored offset is not the batch's first: another owner moved it, or an earlier COMMIT of this
 * consumer whose answer was lost, or the database is an older copy of itself. Undefined when the ledger row is gone.
 */
export interface OffsetMismatch {
  readonly kind: "offset mismatch";
  readonly nextOffset: Offset | undefined;
}

export type WriteOutcome =
  | WrittenBatch
  | OffsetMismatch
  /** The floor differs from the one that the batch was planned with: nothing was written. */
  | { readonly kind: "floor moved"; readonly floor: Instant }
  /** The answer to the COMMIT was lost: the ledger shows whether the batch was written. */
  | { readonly kind: "unknown"; readonly written: WrittenBatch; readonly error: unknown };

export type BatchOutcome =
  | WrittenBatch
  | OffsetMismatch
  /** The consumer stopped waiting: the ledger shows whether the batch was written. */
  | { readonly kind: "abandoned" };
