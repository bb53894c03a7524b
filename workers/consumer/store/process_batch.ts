/**
 * The algorithm: a stretch of one partition's log becomes rows, rejects, duplicates and gaps, each offset in exactly one
 * place. Knows neither Kafka nor PostgreSQL; a broken dependency is waited for, a bad record is set apart.
 */
import type { LedgerRow } from "../kafka_partition/partition.ts";
import { backoffMs, sleep } from "../../_shared/backoff.ts";
import { describeError, isFatal } from "../../_shared/errors.ts";
import type { Instant } from "../day_partitions/floor.ts";
import type { InsertMode } from "./insert_readings.ts";
import type { Plan, PlanBatch } from "./plan_batch.ts";
import type { Turn } from "./shared_turns.ts";
import type { BatchTransaction, Counts, Reject, Sink } from "./sink.ts";
import type { Offset } from "../../_shared/kafka/records.ts";
import { type OpenBatch, type Slice, splitSlice } from "../kafka_partition/slice.ts";

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

export type BatchOutcome =
  | Written
  /** The partition's offset is elsewhere, or unknown to the database: nothing of this batch was written by us. */
  | { readonly kind: "stale"; readonly nextOffset: Offset | undefined }
  /** The caller gave up waiting; nothing was written, or it was and the answer is lost: the ledger knows. */
  | { readonly kind: "abandoned" };

export interface BatchPorts {
  readonly plan: PlanBatch;
  readonly sink: Sink;
  /** Whether an error is about the values themselves, so that waiting cannot cure it. */
  readonly isDataError: (error: unknown) => boolean;
  /** Whether an error means that a reading's key may be in the table already. */
  readonly mayRepeatKey: (error: unknown) => boolean;
  /** Whether an attempt was cut off because it took too long. */
  readonly tookTooLong: (error: unknown) => boolean;
  /** Whether an attempt that failed like this may have been written all the same. */
  readonly mayBeDone: (error: unknown) => boolean;
  /** Runs an attempt to write so many records, as far as is known, when it is our turn, which others may share. */
  readonly takeTurn: <T>(records: () => number, attempt: (turn: Turn) => Promise<T>) => Promise<T>;
  /** Prepares the table for a batch's readings; outside the transaction, since it may take locks. */
  readonly prepare: (plan: Plan) => Promise<void>;
  /** The floor is another one than `plan` went by: it is planned again. */
  readonly onFloorMoved: (floor: Instant) => void;
  /** It is our turn to write: from now on something happens, or something hangs. */
  readonly onAttempt: () => void;
  readonly onAttemptEnd: () => void;
  readonly onFailure: (error: unknown, attempt: number) => void;
}

/** @throws what trying again does not cure, such as a schema of another generation */
export type ProcessBatch = (
  ledger: LedgerRow,
  batch: OpenBatch,
  signal: AbortSignal,
) => Promise<BatchOutcome>;

/** When an attempt took longer than it may last, the next one is on a part that is so many times smaller. */
const SMALLER = 16;

/**
 * @returns a processor for one partition; it remembers whether this partition's records tend to be repeats, and how many
 *   of them an attempt can write while many are refused or the database is slow
 */
export function createBatchProcessor(ports: BatchPorts): ProcessBatch {
  // COPY cannot skip what is already there. While repeats keep coming, trying it first would be work done twice.
  let mode: InsertMode = "copy";
  let mostRecords = Infinity;
  // After a failure, whoever's it was: others shall not fail with us again, nor we with them.
  let alone = false;
  const planFirstPart = (whole: Slice) => {
    const [part] = splitSlice(whole, mostRecords);
    return { part, plan: ports.plan(part.records) };
  };

  return async (ledger, batch, signal) => {
    let whole: Slice | undefined;
    let planned: { readonly part: Slice; readonly plan: Plan } | undefined;
    // Of an attempt whose answer was lost.
    let perhapsWritten: Written | undefined;
    for (let attempt = 1;; attempt++) {
      let attempted: Written | undefined;
      let refusals = 0;
      const counted = (is: boolean) => {
        if (is) refusals++;
        return is;
      };
      const isDataError = (error: unknown) => counted(ports.isDataError(error));
      const records = () =>
        planned?.part.records.length ?? Math.min(mostRecords, whole?.records.length ?? batch.count());
      try {
        const outcome = await ports.takeTurn(records, async (turn) => {
          // Given up while others had their turns: a stop need not wait for all of them.
          if (signal.aborted) return undefined;
          ports.onAttempt();
          // Only now, when it is our turn to write: until then more may come, and decoded records take several times their bytes.
          const { part, plan } = planned ??= planFirstPart(whole ??= batch.close());
          await ports.prepare(plan);
          const work = async (transaction: BatchTransaction): Promise<Written> => {
            const { batch, repeatsInTable } = await writePlan(transaction, plan, part, mode, isDataError);
            mode = repeatsInTable ? "merge" : "copy";
            return attempted = { kind: "written", slice: part, batch };
          };
          const write = () =>
            ports.sink.write(ledger, part.from, work, {
              turn,
              records: part.records.length,
              alone: alone || mode === "merge",
            });
          try {
            return await write();
          } catch (error) {
            if (mode === "merge") throw error;
            if (!counted(ports.mayRepeatKey(error)) && !isDataError(error)) throw error;
            mode = "merge";
            return await write();
          }
        });
        if (outcome === undefined) return { kind: "abandoned" };
        alone = refusals > 0;
        if (outcome.at === "floor moved") {
          ports.onFloorMoved(outcome.floor);
          planned = undefined;
          continue;
        }
        if (outcome.at === "written") {
          mostRecords *= 2;
          return outcome.value;
        }
        // The answer to an earlier COMMIT of ours was lost, and it did commit.
        if (perhapsWritten !== undefined && outcome.nextOffset === perhapsWritten.slice.next) {
          return perhapsWritten;
        }
        return { kind: "stale", nextOffset: outcome.nextOffset };
      } catch (error) {
        if (isFatal(error)) throw error;
        alone = true;
        if (ports.mayBeDone(error)) perhapsWritten = attempted ?? perhapsWritten;
        ports.onFailure(error, attempt);
        await sleep(backoffMs(attempt), { signal });
        if (signal.aborted) return { kind: "abandoned" };
        // One refusal is the repeat or the value that the quick way fails for; more of them cost statement after statement.
        // A single record that takes too long is tried again and again: that says nothing about the record.
        const tried = planned?.part.records.length ?? 0;
        if ((refusals > 1 || ports.tookTooLong(error)) && tried > 1) {
          mostRecords = Math.ceil(tried / SMALLER);
          planned = undefined;
        }
      } finally {
        ports.onAttemptEnd();
      }
    }
  };
}

async function writePlan(
  transaction: BatchTransaction,
  plan: Plan,
  slice: Slice,
  mode: InsertMode,
  isDataError: BatchPorts["isDataError"],
): Promise<{ batch: WrittenBatch; repeatsInTable: boolean }> {
  const placement = new Placement(transaction, plan, isDataError);
  await placement.place(0, placement.keyCount, mode);
  const { stored, rejects, duplicates, repeatsInTable } = placement;
  await transaction.reject(rejects);
  const counts = {
    stored: stored.length,
    duplicates,
    rejected: rejects.length,
    gaps: slice.gaps.reduce((sum, { from, to }) => sum + to - from, 0),
  };
  await transaction.conclude({ slice, counts, readings: plan.readings, stored, floor: plan.floor });
  return { batch: { counts, plan, stored, rejects }, repeatsInTable };
}

/** One try at placing a batch's readings: where each ended, counted from its own fact. */
class Placement {
  readonly #transaction: BatchTransaction;
  readonly #plan: Plan;
  readonly #isDataError: BatchPorts["isDataError"];
  /** Of each key the place in the plan's rows of the reading that is being tried: what is before it was refused. */
  readonly #tried: Int32Array;
  readonly #heads: Int32Array;
  readonly #stored: Int32Array;
  #storedCount = 0;
  readonly rejects: Reject[];
  duplicates = 0;
  repeatsInTable = false;

  constructor(transaction: BatchTransaction, plan: Plan, isDataError: BatchPorts["isDataError"]) {
    this.#transaction = transaction;
    this.#plan = plan;
    this.#isDataError = isDataError;
    this.#tried = plan.keys.slice(0, -1);
    this.#heads = this.#tried.map((at) => plan.rows[at] ?? 0);
    this.#stored = new Int32Array(this.#heads.length);
    this.rejects = [...plan.rejects];
  }

  get keyCount(): number {
    return this.#heads.length;
  }

  /** The stored rows, in the order of their keys. */
  get stored(): Int32Array {
    return this.#stored.subarray(0, this.#storedCount);
  }

  /**
   * Inserts the first reading of each of the keys [from, to). With care, what PostgreSQL refuses is halved until the
   * culprit stands alone: of n readings with one bad one, about 2 log2 n inserts find it, and all others are stored.
   */
  async place(from: number, to: number, mode: InsertMode): Promise<void> {
    if (from === to) return;
    const { readings } = this.#plan;
    const rows = this.#heads.subarray(from, to);
    try {
      const present = await this.#transaction.insert(readings, rows, mode);
      for (let key = from; key < to; key++) {
        this.#settle(key, present === "all stored" ? undefined : present[key - from]);
      }
    } catch (error) {
      if (mode === "copy" || !this.#isDataError(error)) throw error;
      if (to - from === 1) return await this.#setApart(from, error);
      const middle = (from + to) >> 1;
      await this.place(from, middle, mode);
      await this.place(middle, to, mode);
    }
  }

  /** @param present the heart rate the table had before for this key, undefined when ours was stored */
  #settle(key: number, present: number | undefined): void {
    const { rows, keys, readings } = this.#plan;
    const tried = this.#tried[key] ?? 0;
    const head = this.#heads[key] ?? 0;
    if (present === undefined) this.#stored[this.#storedCount++] = head;
    else {
      this.repeatsInTable = true;
      this.#repeat(head, present);
    }
    const kept = present ?? readings.heartRate[head] ?? 0;
    for (let at = tried + 1; at < (keys[key + 1] ?? 0); at++) this.#repeat(rows[at] ?? 0, kept);
  }

  #repeat(row: number, kept: number): void {
    const heartRate = this.#plan.readings.heartRate[row];
    if (heartRate === kept) {
      this.duplicates++;
      return;
    }
    const detail =
      `heart_rate: is ${heartRate}, expected ${kept} as stored before for this customer and instant`;
    this.#reject(row, "conflicting_duplicate", detail);
  }

  /** Rejects one that PostgreSQL refused; its key is still free, so the next reading that has it gets its chance. */
  async #setApart(key: number, error: unknown): Promise<void> {
    const { keys, rows } = this.#plan;
    this.#reject(
      this.#heads[key] ?? 0,
      "database_rejected",
      `PostgreSQL refused it: ${describeError(error)}`,
    );
    const next = (this.#tried[key] ?? 0) + 1;
    if (next === keys[key + 1]) return;
    this.#tried[key] = next;
    this.#heads[key] = rows[next] ?? 0;
    await this.place(key, key + 1, "merge");
  }

  #reject(row: number, reason: Reject["reason"], detail: string): void {
    const { readings, records } = this.#plan;
    const record = records.at(readings.record[row] ?? 0);
    if (record === undefined) throw new TypeError(`row ${row} was made from no record of its batch`);
    this.rejects.push({ record, reason, detail });
  }
}
