/**
 * The algorithm: a stretch of one partition's log becomes rows, rejects, duplicates and gaps, each offset in exactly one
 * place. Knows neither Kafka nor PostgreSQL; a broken dependency is waited for, a bad record is set apart.
 */
import type { LedgerRow } from "../kafka_partition/partition.ts";
import { backoffMs, sleep } from "../../_shared/backoff.ts";
import { describeError, isFatal } from "../../_shared/errors.ts";
import { isDataError, mayBeDone, mayRepeatKey, tookTooLong } from "../../_shared/postgres_errors.ts";
import type { Instant } from "../day_partitions/floor.ts";
import type { Insert, InsertMode, Plan, Reject, Stale, WriteOutcome, Written } from "./batch.ts";
import type { PlanBatch } from "./plan_batch.ts";
import type { Turn } from "./shared_turns.ts";
import { type OpenBatch, type Slice, splitSlice } from "../kafka_partition/slice.ts";

export type BatchOutcome =
  | Written
  /** Nothing of this batch was written by us. */
  | Stale
  /** The caller gave up waiting; nothing was written, or it was and the answer is lost: the ledger knows. */
  | { readonly kind: "abandoned" };

export interface BatchPorts {
  readonly plan: PlanBatch;
  readonly turns: {
    take<T>(records: () => number, attempt: (turn: Pick<Turn, "write">) => Promise<T>): Promise<T>;
  };
  /** Prepares the table; outside the transaction, since it may take locks. */
  readonly prepare: (plan: Plan) => Promise<void>;
  /** The batch is planned again. */
  readonly onFloorMoved: (floor: Instant) => void;
  /** It is our turn to write: from now on something happens, or something hangs. */
  readonly onAttempt: () => void;
  readonly onAttemptEnd: () => void;
  readonly onFailure: (error: unknown, attempt: number) => void;
}

export type ProcessBatch = ReturnType<typeof createBatchProcessor>;

/** When an attempt took longer than it may last, the next one is on a part that is so many times smaller. */
const SMALLER = 16;

/** @returns a processor for one partition; it throws what trying again does not cure, as a schema of another generation */
export function createBatchProcessor(ports: BatchPorts) {
  const approach = new Approach();
  return (ledger: LedgerRow, batch: OpenBatch, signal: AbortSignal): Promise<BatchOutcome> =>
    new BatchProcessor(ports, approach, ledger, batch).process(signal);
}

/** How the next attempt of a partition is made, learnt from those before. */
class Approach {
  /** COPY cannot skip what is already there. While repeats keep coming, trying it first would be work done twice. */
  #mode: InsertMode = "copy";
  /** How many an attempt can write while many are refused or the database is slow. */
  #mostRecords = Infinity;
  /** After a failure, whoever's it was: others shall not fail with us again, nor we with them. */
  #hasFailed = false;

  get next() {
    const alone = this.#hasFailed || this.#mode === "merge";
    return { mode: this.#mode, mostRecords: this.#mostRecords, alone };
  }

  quickWayFailed(): void {
    this.#mode = "merge";
  }

  /**
   * One refusal is the repeat or the value that the quick way fails for; more of them cost statement after statement.
   * A single record that takes too long is tried again and again: that says nothing about the record.
   *
   * @returns whether fewer records than those tried are next
   */
  failed(error: unknown, refusals: number, tried = 0): boolean {
    this.#hasFailed = true;
    if (tried <= 1 || (refusals <= 1 && !tookTooLong(error))) return false;
    this.#mostRecords = Math.ceil(tried / SMALLER);
    return true;
  }

  answered(refusals: number): void {
    this.#hasFailed = refusals > 0;
  }

  /** Only what is committed tells whether repeats keep coming. */
  written(repeatsInTable: boolean): void {
    this.#mode = repeatsInTable ? "merge" : "copy";
    this.#mostRecords *= 2;
  }
}

/** The attempts to write one batch. */
class BatchProcessor {
  /** All of the batch, once it was our turn. */
  #whole: Slice | undefined;
  #planned: { readonly part: Slice; readonly plan: Plan } | undefined;
  /** What this attempt wrote, if it is committed, and whether it met readings that the table had before. */
  #attempted: Written | undefined;
  #repeatsInTable = false;
  /** Of an attempt whose answer was lost. */
  #perhapsWritten: Written | undefined;
  /** Answers of this attempt that are about the values themselves. */
  #refusals = 0;

  constructor(
    private readonly ports: BatchPorts,
    private readonly approach: Approach,
    private readonly ledger: LedgerRow,
    private readonly batch: OpenBatch,
  ) {}

  async process(signal: AbortSignal): Promise<BatchOutcome> {
    const { ports } = this;
    for (let attempt = 1;; attempt++) {
      this.#attempted = undefined;
      this.#refusals = 0;
      try {
        const outcome = await ports.turns.take(() => this.#records(), (turn) => this.#attempt(turn, signal));
        if (outcome === undefined) return { kind: "abandoned" };
        const told = this.#tell(outcome);
        if (told !== undefined) return told;
      } catch (error) {
        if (isFatal(error)) throw error;
        if (mayBeDone(error)) this.#perhapsWritten = this.#attempted ?? this.#perhapsWritten;
        const tried = this.#planned?.part.records.length;
        if (this.approach.failed(error, this.#refusals, tried)) this.#planned = undefined;
        ports.onFailure(error, attempt);
        await sleep(backoffMs(attempt), { signal });
        if (signal.aborted) return { kind: "abandoned" };
      } finally {
        ports.onAttemptEnd();
      }
    }
  }

  /** For the next attempt, as far as is known. */
  #records(): number {
    return this.#planned?.part.records.length ??
      Math.min(this.approach.next.mostRecords, this.#whole?.records.length ?? this.batch.count());
  }

  /** @returns undefined when it was given up while others had their turns: a stop need not wait for all of them */
  async #attempt(turn: Pick<Turn, "write">, signal: AbortSignal): Promise<WriteOutcome | undefined> {
    if (signal.aborted) return undefined;
    this.ports.onAttempt();
    // Only now, when it is our turn to write: until then more may come, and decoded records take several times their bytes.
    const { part, plan } = this.#planned ??= this.#planFirstPart();
    await this.ports.prepare(plan);
    const write = () =>
      turn.write({
        ledger: this.ledger,
        from: part.from,
        records: part.records.length,
        alone: this.approach.next.alone,
        work: (insert) => this.#work(insert, part, plan),
      });
    try {
      return await write();
    } catch (error) {
      if (this.approach.next.mode === "merge") throw error;
      if (!this.#counted(mayRepeatKey(error)) && !this.#counted(isDataError(error))) throw error;
      this.approach.quickWayFailed();
      return await write();
    }
  }

  #planFirstPart() {
    const [part] = splitSlice(this.#whole ??= this.batch.close(), this.approach.next.mostRecords);
    return { part, plan: this.ports.plan(part.records) };
  }

  async #work(insert: Insert, slice: Slice, plan: Plan): Promise<Written> {
    const placement = new Placement(insert, plan, (error) => this.#counted(isDataError(error)));
    await placement.place(0, plan.keys.length - 1, this.approach.next.mode);
    const { stored, rejects, duplicates } = placement;
    const counts = {
      stored: stored.length,
      duplicates,
      rejected: rejects.length,
      gaps: slice.gaps.reduce((sum, { from, to }) => sum + to - from, 0),
    };
    this.#repeatsInTable = placement.repeatsInTable;
    const batch = { counts, plan, stored, rejects };
    return this.#attempted = { kind: "written", ledger: this.ledger, slice, batch };
  }

  #counted(isRefusal: boolean): boolean {
    if (isRefusal) this.#refusals++;
    return isRefusal;
  }

  /** @returns undefined when the batch must be planned again */
  #tell(outcome: WriteOutcome): BatchOutcome | undefined {
    this.approach.answered(this.#refusals);
    if (outcome.kind === "floor moved") {
      this.ports.onFloorMoved(outcome.floor);
      this.#planned = undefined;
      return undefined;
    }
    if (outcome.kind === "written") {
      this.approach.written(this.#repeatsInTable);
      return outcome;
    }
    // The answer to an earlier COMMIT of ours was lost, and it did commit.
    const written = this.#perhapsWritten;
    return written !== undefined && outcome.nextOffset === written.slice.next ? written : outcome;
  }
}

/** One try at placing a batch's readings: where each ended, counted from its own fact. */
class Placement {
  /** Of each key the place in the plan's rows of the reading that is being tried: what is before it was refused. */
  readonly #tried: Int32Array;
  readonly #heads: Int32Array;
  readonly #stored: Int32Array;
  #storedCount = 0;
  readonly rejects: Reject[];
  duplicates = 0;
  repeatsInTable = false;

  constructor(
    private readonly insert: Insert,
    private readonly plan: Plan,
    private readonly isDataError: (error: unknown) => boolean,
  ) {
    this.#tried = plan.keys.slice(0, -1);
    this.#heads = this.#tried.map((at) => plan.rows[at] ?? 0);
    this.#stored = new Int32Array(this.#heads.length);
    this.rejects = [...plan.rejects];
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
    const rows = this.#heads.subarray(from, to);
    try {
      const present = await this.insert(this.plan.readings, rows, mode);
      for (let key = from; key < to; key++) {
        this.#settle(key, present === "all stored" ? undefined : present[key - from]);
      }
    } catch (error) {
      if (mode === "copy" || !this.isDataError(error)) throw error;
      if (to - from === 1) return await this.#setApart(from, error);
      const middle = (from + to) >> 1;
      await this.place(from, middle, mode);
      await this.place(middle, to, mode);
    }
  }

  /** @param present the heart rate the table had before for this key, undefined when ours was stored */
  #settle(key: number, present: number | undefined): void {
    const { rows, keys, readings } = this.plan;
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
    const heartRate = this.plan.readings.heartRate[row];
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
    const { keys, rows } = this.plan;
    const detail = `PostgreSQL refused it: ${describeError(error)}`;
    this.#reject(this.#heads[key] ?? 0, "database_rejected", detail);
    const next = (this.#tried[key] ?? 0) + 1;
    if (next === keys[key + 1]) return;
    this.#tried[key] = next;
    this.#heads[key] = rows[next] ?? 0;
    await this.place(key, key + 1, "merge");
  }

  #reject(row: number, reason: Reject["reason"], detail: string): void {
    const { readings, records } = this.plan;
    const record = records.at(readings.record[row] ?? 0);
    if (record === undefined) throw new TypeError(`row ${row} was made from no record of its batch`);
    this.rejects.push({ record, reason, detail });
  }
}
