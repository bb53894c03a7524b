/**
 * Folder `store`: writes batches of one partition's log into PostgreSQL, rows, rejects, gaps and the next offset in one
 * transaction. It judges no record by rules of its own, never waits for what is derived, and never speaks to Kafka.
 *
 * This file: what a batch is on its way there.
 */
import type { RejectReason } from "../../_shared/record/heartbeat.ts";
import type { Offset, RawRecord, Records } from "../../_shared/kafka/records.ts";
import type { Instant } from "../day_partitions/floor.ts";
import type { LedgerRow } from "../kafka_partition/partition.ts";
import type { Slice } from "../kafka_partition/slice.ts";
import type { InsertMode, Present } from "./insert_readings.ts";
import type { Readings } from "./readings.ts";

/** A record that is refused, and why. */
export interface Reject {
  readonly record: RawRecord;
  readonly reason: RejectReason;
  /** Which field and why. */
  readonly detail: string;
}

/** How many offsets of a batch ended where; together they are all of them. */
export interface Counts {
  readonly stored: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly gaps: number;
}

/** A batch before it is written. Rows are those of `readings`. */
export interface Plan {
  readonly records: Records;
  readonly readings: Readings;
  /** All rows, by customer, time and then the order of the log. */
  readonly rows: Int32Array;
  /** Where in `rows` each key begins, and behind the last where they end: what follows the first of a key repeats it. */
  readonly keys: Int32Array;
  readonly rejects: readonly Reject[];
  /** The floor by which readings were rejected as too old; undefined when none was. */
  readonly floor: Instant;
}

/** A batch when all its readings have their place. */
export interface WrittenBatch {
  readonly counts: Counts;
  readonly plan: Plan;
  /** Rows of the plan's readings that were stored, by customer and time. */
  readonly stored: Int32Array;
  readonly rejects: readonly Reject[];
}

/** What was written: the whole stretch, or the first part of it. */
export interface Written {
  readonly kind: "written";
  readonly slice: Slice;
  readonly batch: WrittenBatch;
}

/** A batch's transaction while it is open. */
export interface BatchTransaction {
  /**
   * Inserts rows of these readings, of which no two have the same key, in the order given.
   *
   * @throws what PostgreSQL refused; nothing is stored then
   */
  insert(readings: Readings, rows: Int32Array, mode: InsertMode): Promise<Present>;
  /**
   * The last step: keeps rejects and gaps, adds what was stored to what is derived from it, moves the partition's offset
   * to the end of the slice and adds the counts.
   */
  conclude(written: Written): Promise<void>;
}

/** A batch that shall be written in a transaction that owns its partition's offset. */
export interface Write<T> {
  readonly ledger: LedgerRow;
  readonly from: Offset;
  /** How many it is about. */
  readonly records: number;
  /** In a transaction that is shared with nobody: a failure is then ours. */
  readonly alone: boolean;
  readonly work: (batch: BatchTransaction) => Promise<T>;
}

export type WriteOutcome<T> =
  /** With what `work` returned. */
  | { readonly at: "written"; readonly value: T }
  /**
   * The offset is not at `from`: another owner moved it, or an earlier COMMIT of ours whose answer was lost, or the
   * database is an older copy of itself; undefined when it has no such row (any more).
   */
  | { readonly at: "moved"; readonly nextOffset: Offset | undefined }
  /** The floor is another one than the batch was planned with: nothing of it was written. */
  | { readonly at: "floor moved"; readonly floor: Instant };

/** A write that waits for the others of its turn. */
export interface WriteRequest extends Write<unknown> {
  readonly resolve: (outcome: WriteOutcome<unknown>) => void;
  readonly reject: (error: unknown) => void;
}
