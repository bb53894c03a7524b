/** Plans each batch, writes it by group commit, and retries until it has an outcome. */
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
  /** Creates missing day partitions before the transaction, because that takes locks. */
  readonly prepare: (plan: Plan) => Promise<void>;
  readonly onFloorMoved: (floor: Instant) => void;
  /** Called when the batch has a connection. From then on, liveness watches the attempt. */
  readonly onAttempt: () => void;
  readonly onAttemptEnd: () => void;
  readonly onFailure: (error: unknown, attempt: number) => void;
}

/** Rejects only for an error that a retry cannot cure, such as another schema generation. */
export type WriteBatch = (ledger: LedgerRow, batch: OpenBatch, signal: AbortSignal) => Promise<BatchOutcome>;

export type Store = ReturnType<typeof createStore>;

export function createStore(transactions: Transactions, connections: number) {
  const groupCommit = new GroupCommit(connections, transactions);
  return {
    /** Each partition needs its own writer, which learns from one batch how to write the next. */
    writer: (ports: WriterPorts): WriteBatch => {
      const tools = { ports, groupCommit, strategy: new WriteStrategy() };
      return (ledger, batch, signal) => new BatchWriter(tools, ledger, batch).write(signal);
    },
    setMaxInFlight: (width: number) => void (groupCommit.maxInFlight = width),
  };
}

/** After a timeout, the next attempt writes a part that is this many times smaller. */
const SHRINK_FACTOR = 16;

class WriteStrategy {
  insertMode: InsertMode = "grouped";
  maxRecords = Infinity;

  /** @returns whether to retry at once, in checked mode */
  needsCheckedMode(error: unknown): boolean {
    if (this.insertMode === "checked" || !(isUniqueViolation(error) || isDataError(error))) return false;
    this.insertMode = "checked";
    return true;
  }

  /** @returns whether the next attempt must write fewer records; a single record is retried, whatever the failure */
  failed(error: unknown, tried = 0): boolean {
    // Checked mode takes many statements: any failure may come from a batch that is too large.
    const isTooMuch = this.insertMode === "checked" || isTimeout(error);
    // The batch gets its own transaction, so that batches of other partitions cannot fail with it again.
    if (this.insertMode === "grouped") this.insertMode = "single";
    if (tried <= 1 || !isTooMuch) return false;
    this.maxRecords = Math.ceil(tried / SHRINK_FACTOR);
    return true;
  }

  written({ plan, stored }: WrittenBatch): void {
    // While batches have keys that the table has, the other modes would fail and cost twice.
    if (stored.length < plan.keys.length - 1) this.insertMode = "checked";
    else this.insertMode = this.insertMode === "checked" ? "single" : "grouped";
    this.maxRecords *= 2;
  }
}

class BatchWriter {
  /** The closed batch. `#planned` may be only its first part. */
  #whole: Slice | undefined;
  #planned: PlannedBatch | undefined;
  /** Set when the answer to COMMIT was lost. */
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
        const result = this.#interpret(outcome);
        if (result !== undefined) return result;
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

  /** @returns undefined when `signal` aborted while the batch was queued */
  async #attempt(signal: AbortSignal): Promise<WriteOutcome | undefined> {
    const { strategy, groupCommit } = this.tools;
    const write = (isAbandoned: () => boolean) =>
      groupCommit.write({
        records: () => this.#records(),
        begin: () => isAbandoned() ? Promise.resolve(undefined) : this.#begin(),
        insertMode: strategy.insertMode,
      });
    try {
      return await write(() => signal.aborted);
    } catch (error) {
      if (!strategy.needsCheckedMode(error)) throw error;
      // The write has begun, so a stop waits for it.
      return await write(() => false);
    }
  }

  #records(): number {
    return this.#planned?.slice.records.length ??
      Math.min(this.tools.strategy.maxRecords, this.#whole?.records.length ?? this.batch.count());
  }

  async #begin(): Promise<PlannedBatch> {
    const { ports, strategy } = this.tools;
    ports.onAttempt();
    // Decoded only now, because more records may have joined the batch, and decoded ones take several times the memory.
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
    // If `next_offset` is the end of an attempt whose answer was lost, that attempt did commit.
    const written = this.#possiblyWritten;
    return written !== undefined && outcome.nextOffset === written.slice.next ? written : outcome;
  }
}
