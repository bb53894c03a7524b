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
import type { Readings } from "./readings.ts";

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
export interface WrittenBatch extends Pick<Plan, "rejects"> {
  readonly counts: Counts;
  readonly plan: Plan;
  /** Rows of the plan's readings that were stored, by customer and time. */
  readonly stored: Int32Array;
}

/** What was written: the whole stretch, or the first part of it. */
export interface Written {
  readonly kind: "written";
  readonly ledger: LedgerRow;
  readonly slice: Slice;
  readonly batch: WrittenBatch;
}

/**
 * The offset is not where the batch begins: another owner moved it, or an earlier COMMIT of ours whose answer was lost,
 * or the database is an older copy of itself; undefined when it has no such row (any more).
 */
export interface Stale {
  readonly kind: "stale";
  readonly nextOffset: Offset | undefined;
}

/**
 * How readings are inserted. `copy`, the quick way: all at once, and one whose key is in the table, or that PostgreSQL
 * refuses, fails the whole transaction. `merge`, with care: what is there is told from what is new, and after a failure
 * the transaction goes on.
 */
export type InsertMode = "copy" | "merge";

/** The heart rate that was there already, by the order of the rows; undefined where ours was stored. */
export type Present = "all stored" | readonly (number | undefined)[];

/**
 * Inserts rows of these readings, of which no two have the same key, in the order given.
 *
 * @throws what PostgreSQL refused; nothing is stored then
 */
export type Insert = (readings: Readings, rows: Int32Array, mode: InsertMode) => Promise<Present>;

/** A batch that shall be written in a transaction that owns its partition's offset. */
export interface Write {
  readonly ledger: LedgerRow;
  readonly from: Offset;
  /** How many it is about. */
  readonly records: number;
  /** In a transaction that is shared with nobody: a failure is then ours. */
  readonly alone: boolean;
  /** Inserts the readings; what it returns is kept beside them, and the offset moved, in the same transaction. */
  readonly work: (insert: Insert) => Promise<Written>;
}

export type WriteOutcome =
  | Written
  | Stale
  /** The floor is another one than the batch was planned with: nothing of it was written. */
  | { readonly kind: "floor moved"; readonly floor: Instant };

/** A write that waits for the others of its turn. */
export interface WriteRequest extends Write {
  readonly resolve: (outcome: WriteOutcome) => void;
  readonly reject: (error: unknown) => void;
}
