/**
 * Folder `store`: writes batches of one partition's log into PostgreSQL, rows, rejects, gaps and the next offset in one
 * transaction. `store.ts` is the way in. It judges no record by rules of its own, never waits for what is derived, and
 * never speaks to Kafka.
 *
 * This file: what a batch is on its way: a plan, the rows that are stored, an outcome.
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

/** What records are, by themselves. Rows are those of `readings`. */
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

/** A stretch of a log that waits for its transaction. */
export interface PlannedBatch {
  readonly ledger: LedgerRow;
  readonly slice: Slice;
  readonly plan: Plan;
}

/** A batch, or the first part of one, with what becomes of each record. */
export interface Written extends PlannedBatch {
  readonly kind: "written";
  readonly counts: Counts;
  /** Rows of the plan's readings that are stored, by customer and time. */
  readonly stored: Int32Array;
  /** Those of the plan, and of the readings that the table or PostgreSQL refused. */
  readonly rejects: readonly Reject[];
}

/**
 * Nothing was written. The offset is not where the batch begins: another owner moved it, or an earlier COMMIT of this
 * consumer whose answer was lost, or the database is an older copy of itself; undefined when it has no such row (any more).
 */
export interface Stale {
  readonly kind: "stale";
  readonly nextOffset: Offset | undefined;
}

/** What a transaction that did not fail did for a batch. */
export type WriteOutcome =
  | Written
  | Stale
  /** The floor is another one than the batch was planned with: nothing of it was written. */
  | { readonly kind: "floor moved"; readonly floor: Instant }
  /** The answer to the COMMIT was lost: the ledger knows whether this was written. */
  | { readonly kind: "unknown"; readonly written: Written; readonly error: unknown };

export type BatchOutcome =
  | Written
  | Stale
  /** The caller gave up waiting; nothing was written, or it was and the answer is lost: the ledger knows. */
  | { readonly kind: "abandoned" };
