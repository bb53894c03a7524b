/** The entry point: plans a batch, hands it to the group commit, and retries until it has an outcome. */
import type { LedgerRow } from "../kafka_partition/partition.ts";
import { backoffMs, sleep } from "../../_shared/backoff.ts";
import { isFatal } from "../../_shared/errors.ts";
import { isDataError, isTimeout, isUniqueViolation } from "../../_shared/postgres_errors.ts";
import type { Instant } from "../day_partitions/floor.ts";
import { type OpenBatch, type Slice, splitSlice } from "../kafka_partition/slice.ts";
import type { BatchOutcome, Plan, PlannedBatch, WriteOutcome, WrittenBatch } from "./batch.ts";
import { GroupCommit, type InsertMode, type Transactions } from "./group_commit.ts";
import type { PlanBatch } from "./plan_batch.ts";

export interface WriterPorts {
  readonly plan: PlanBatch;
  /** Makes partitions; before the transaction, since it takes locks. */
  readonly prepare: (plan: Plan) => Promise<void>;
  /** The batch is planned again. */
  readonly onFloorMoved: (floor: Instant) => void;
  /** The batch has a connection: from now on an attempt that does not end hangs. */
  readonly onAttempt: () => void;
  readonly onAttemptEnd: () => void;
  readonly onFailure: (error: unknown, attempt: number) => void;
}

/** Writes a batch of one partition. @throws errors that a retry does not cure, as a schema of another generation */
export type WriteBatch = (ledger: LedgerRow, batch: OpenBatch, signal: AbortSignal) => Promise<BatchOutcome>;

export type Store = ReturnType<typeof createStore>;

/** @param connections transactions in flight, at most */
export function createStore(transactions: Transactions, connections: number) {
  const groupCommit = new GroupCommit(connections, transactions);
  return {
    /** One for each partition: it learns from its batches how to write the next. */
    writer: (ports: WriterPorts): WriteBatch => {
      const strategy = new WriteStrategy();
      return (ledger, batch, signal) =>
        new BatchWriter({ ports, groupCommit, strategy: strategy }, ledger, batch).write(signal);
    },
    /** Changes the maximum of transactions in flight. */
    setMaxInFlight: (width: number) => void (groupCommit.maxInFlight = width),
  };
}

/** After a timeout, the next attempt writes a part that is this many times smaller. */
const SHRINK_FACTOR = 16;

/** How a partition makes its next attempt, learnt from earlier ones. */
class WriteStrategy {
  #insertMode: InsertMode = "grouped";
  /** How many records an attempt can write while many are refused or the database is slow. */
  maxRecords = Infinity;

  get insertMode(): InsertMode {
    return this.#insertMode;
  }

  /** @returns whether to retry with care, because a key is repeated or a value refused */
  needsCheckedMode(error: unknown): boolean {
    if (this.#insertMode === "checked" || !(isUniqueViolation(error) || isDataError(error))) return false;
    this.#insertMode = "checked";
    return true;
  }

  /**
   * After any failure, the partition retries in a transaction of its own. Writing with care takes many statements, so the batch
   * may have been too large. A single record that takes too long is retried: that says nothing about the record.
   *
   * @returns whether the next attempt has fewer records
   */
  failed(error: unknown, tried = 0): boolean {
    const isTooMuch = this.#insertMode === "checked" || isTimeout(error);
    if (this.#insertMode === "grouped") this.#insertMode = "single";
    if (tried <= 1 || !isTooMuch) return false;
    this.maxRecords = Math.ceil(tried / SHRINK_FACTOR);
    return true;
  }

  /** As long as batches have repeated keys, the quick way would fail and cost twice. */
  written({ plan, stored }: WrittenBatch): void {
    if (stored.length < plan.keys.length - 1) this.#insertMode = "checked";
    else this.#insertMode = this.#insertMode === "checked" ? "single" : "grouped";
    this.maxRecords *= 2;
  }
}

/** The attempts to write one batch. */
class BatchWriter {
  /** The whole batch, once an attempt has begun. */
  #whole: Slice | undefined;
  #planned: PlannedBatch | undefined;
  /** What an attempt wrote if its COMMIT, whose answer was lost, took place. */
  #possiblyWritten: WrittenBatch | undefined;

  constructor(
    private readonly tools: {
      readonly ports: WriterPorts;
      readonly groupCommit: GroupCommit;
      readonly strategy: WriteStrategy;
    },
    private readonly ledger: LedgerRow,
    private readonly batch: OpenBatch,
  ) {}

  async write(signal: AbortSignal): Promise<BatchOutcome> {
    const { ports, strategy } = this.tools;
    for (let attempt = 1;; attempt++) {
      try {
        const outcome = await this.#attempt(signal);
        if (outcome === undefined) return { kind: "abandoned" };
        const told = this.#interpret(outcome);
        if (told !== undefined) return told;
      } catch (error) {
        if (isFatal(error)) throw error;
        if (strategy.failed(error, this.#planned?.slice.records.length)) this.#planned = undefined;
        ports.onFailure(error, attempt);
        await sleep(backoffMs(attempt), { signal });
        if (signal.aborted) return { kind: "abandoned" };
      } finally {
        ports.onAttemptEnd();
      }
    }
  }

  /** @returns undefined when `signal` aborted before its turn: a stop does not wait for the queue */
  async #attempt(signal: AbortSignal): Promise<WriteOutcome | undefined> {
    const { strategy, groupCommit } = this.tools;
    const write = (isGivenUp: () => boolean) =>
      groupCommit.write({
        records: () => this.#records(),
        begin: () => isGivenUp() ? Promise.resolve(undefined) : this.#begin(),
        insertMode: strategy.insertMode,
      });
    try {
      return await write(() => signal.aborted);
    } catch (error) {
      if (!strategy.needsCheckedMode(error)) throw error;
      // The write has begun: a stop waits for it.
      return await write(() => false);
    }
  }

  /** Records in the next attempt, as far as known. */
  #records(): number {
    return this.#planned?.slice.records.length ??
      Math.min(this.tools.strategy.maxRecords, this.#whole?.records.length ?? this.batch.count());
  }

  async #begin(): Promise<PlannedBatch> {
    const { ports, strategy } = this.tools;
    ports.onAttempt();
    // Not earlier: more records may join the batch, and decoded ones take several times the memory.
    if (this.#planned === undefined) {
      const [slice] = splitSlice(this.#whole ??= this.batch.close(), strategy.maxRecords);
      this.#planned = { ledger: this.ledger, slice, plan: ports.plan(slice.records) };
    }
    await ports.prepare(this.#planned.plan);
    return this.#planned;
  }

  /** @returns undefined when the batch must be planned again */
  #interpret(outcome: WriteOutcome): BatchOutcome | undefined {
    const { ports, strategy } = this.tools;
    if (outcome.kind === "unknown") {
      this.#possiblyWritten = outcome.written;
      throw outcome.error;
    }
    if (outcome.kind === "floor moved") {
      ports.onFloorMoved(outcome.floor);
      this.#planned = undefined;
      return undefined;
    }
    if (outcome.kind === "written") {
      strategy.written(outcome);
      return outcome;
    }
    // The answer to an earlier COMMIT was lost, and it did commit.
    const written = this.#possiblyWritten;
    return written !== undefined && outcome.nextOffset === written.slice.next ? written : outcome;
  }
}
