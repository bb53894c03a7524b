import type { Divergence } from "../../_shared/kafka/fetcher.ts";
import type { TopicIdPartition } from "../../_shared/kafka/topic.ts";
import type { Offset } from "../../_shared/kafka/records.ts";
import type { MonotonicClock } from "../health/health_state.ts";
import { Backlog, type BacklogLimits } from "./backlog.ts";
import { type FetchConditions, FetchStatus } from "./fetch_status.ts";
import { Notifier } from "./notifier.ts";
import { type Gap, gapSlice, type OpenBatch, release, type Slice, UNKNOWN_EPOCH } from "./slice.ts";

export interface LedgerRow extends TopicIdPartition {
  readonly id: number;
  readonly generation: number;
  readonly firstOffset: Offset;
  readonly nextOffset: Offset;
  /** Leader epoch of the record before `nextOffset`; -1 while it is not known. */
  readonly leaderEpoch: number;
}

/** Each port retries until it succeeds or `signal` aborts. */
export interface PartitionPorts {
  /** @returns undefined when `signal` aborted first */
  open(signal: AbortSignal): Promise<LedgerRow | undefined>;
  /** @returns the ledger's next offset; "gone" if the ledger must be opened again; undefined when `signal` aborted first */
  write(ledger: LedgerRow, batch: OpenBatch, signal: AbortSignal): Promise<Offset | "gone" | undefined>;
  /** Ends the partition's state `resetting` by a call of `offsetResolved` or `reopen`. Calls neither if `signal` aborts. */
  resolveOffsetReset(
    partition: Partition,
    divergence: Divergence | undefined,
    signal: AbortSignal,
  ): Promise<void>;
  /** There may be room for records again, or the fetch offset moved. */
  onChange(): void;
}

/**
 * `opening`: the ledger is not read yet. `resetting`: the log does not hold the fetch offset; after the backlog is written, an
 * offset to continue from is chosen. `held`: an operator must choose it. `closed`: no longer assigned, for good.
 */
export type PartitionState = "opening" | "reading" | "resetting" | "held" | "closed";

/** One assigned partition, and the loop that writes its batches in order. It ignores events that do not fit its state. */
export class Partition implements AsyncDisposable {
  readonly number: number;
  readonly fetchStatus: FetchStatus;
  lastStableOffset: Offset = 0;
  #state: PartitionState = "opening";
  #ledger: LedgerRow | undefined;
  #fetchOffset: Offset = 0;
  #lastEpoch = UNKNOWN_EPOCH;
  #lastTimestampMs: number | undefined;
  readonly #backlog: Backlog;
  readonly #arrived = new Notifier();
  readonly #closing = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #mustOpenLedger = true;
  #divergence: Divergence | undefined;
  #resetting = new AbortController();

  constructor(
    readonly log: TopicIdPartition,
    private readonly ports: PartitionPorts,
    limits: BacklogLimits,
    clock: MonotonicClock = () => performance.now(),
  ) {
    this.number = log.partition;
    this.#backlog = new Backlog(limits);
    this.fetchStatus = new FetchStatus(clock);
  }

  get state(): PartitionState {
    return this.#state;
  }

  get ledger(): LedgerRow | undefined {
    return this.#ledger;
  }

  /** The offset after all records of the backlog. */
  get fetchOffset(): Offset {
    return this.#fetchOffset;
  }

  /** Leader epoch of the last record before `fetchOffset`; -1 while it is not known. */
  get lastEpoch(): number {
    return this.#lastEpoch;
  }

  /** Timestamp of the last written record, in milliseconds since the Unix epoch. */
  get lastTimestampMs(): number | undefined {
    return this.#lastTimestampMs;
  }

  get nextOffset(): Offset | undefined {
    return this.#ledger?.nextOffset;
  }

  get isDrained(): boolean {
    return this.nextOffset === this.#fetchOffset;
  }

  get isAtEnd(): boolean {
    return this.#fetchOffset >= this.lastStableOffset;
  }

  /** Lag, without records that cannot be fetched at the moment. */
  get fetchableLag(): number {
    const isBlocked = this.#state === "held" || this.fetchStatus.cannotFetch;
    const end = isBlocked ? this.#fetchOffset : this.lastStableOffset;
    return Math.max(0, end - (this.nextOffset ?? end));
  }

  get wantsRecords(): boolean {
    return this.#state === "reading" && this.#backlog.isBelowLimits;
  }

  /** @param onCrash called for a bug only; the ports retry expected failures */
  start(onCrash: (error: unknown) => void): void {
    this.#running = this.#run().catch(onCrash);
  }

  accept(slice: Slice): void {
    if (this.#state === "reading") this.#take(slice);
  }

  /** A fetch returned no record. Returns the gap up to the end of the log, if it is proven that no record is there. */
  foundNothing(conditions: FetchConditions): Gap | undefined {
    if (this.isAtEnd) this.fetchStatus.moved();
    else if (this.fetchStatus.empty(conditions, this.lastStableOffset)) {
      return this.skip(this.lastStableOffset, "compacted");
    }
    return undefined;
  }

  skip(to: Offset, cause: Gap["cause"]): Gap {
    const gap = { from: this.#fetchOffset, to, cause };
    if (this.#state === "reading" || this.#state === "resetting") this.#take(gapSlice(gap.from, to, cause));
    return gap;
  }

  /** The log does not hold `fetchOffset`, or was truncated before it. */
  offsetLost(divergence?: Divergence): void {
    if (this.#state !== "reading") return;
    this.#state = "resetting";
    this.#divergence = divergence;
    // The broker answered, so it is not silent.
    this.fetchStatus.moved();
    this.#arrived.notify();
  }

  offsetResolved(state: "reading" | "held"): void {
    if (this.#state !== "resetting") return;
    this.#state = state;
    this.ports.onChange();
  }

  /** Continues from the offset of this ledger row. The backlog was fetched for another offset, so it is dropped. */
  reopen(ledger: LedgerRow): void {
    if (this.#state === "closed") return;
    this.#state = "reading";
    this.#ledger = ledger;
    this.#backlog.clear();
    this.#fetchOffset = ledger.nextOffset;
    this.#lastEpoch = ledger.leaderEpoch;
    this.fetchStatus.moved();
    this.ports.onChange();
  }

  /** The ledger in the database is not what this partition wrote. An offset reset under way is obsolete, too. */
  reopenLedger(): void {
    this.#mustOpenLedger = true;
    this.#resetting.abort();
    this.#arrived.notify();
  }

  /** Waits for the batch that is being written, and drops the backlog. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#state = "closed";
    this.#closing.abort();
    await this.#running;
    this.#backlog.clear();
    // Other partitions may wait for this memory.
    this.ports.onChange();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      if (this.#mustOpenLedger) {
        this.#mustOpenLedger = false;
        const ledger = await this.ports.open(signal);
        if (ledger !== undefined) this.reopen(ledger);
        continue;
      }
      const batch = this.#backlog.takeBatch();
      if (batch !== undefined) await this.#write(batch, signal);
      else if (this.#state === "resetting") {
        this.#resetting = new AbortController();
        const either = AbortSignal.any([signal, this.#resetting.signal]);
        await this.ports.resolveOffsetReset(this, this.#divergence, either);
      } else await this.#arrived.wait({ signal });
    }
  }

  async #write(begun: Slice, signal: AbortSignal): Promise<void> {
    const { ledger } = this;
    if (ledger === undefined) return;
    let batch = begun;
    const open: OpenBatch = {
      count: () => this.#backlog.countWith(batch),
      close: () => {
        batch = this.#backlog.grow(batch);
        if (batch !== begun) this.ports.onChange();
        return batch;
      },
    };
    let next: Offset | "gone" | undefined;
    try {
      next = await this.ports.write(ledger, open, signal);
    } finally {
      this.#backlog.written(batch);
    }
    if (next === undefined) return;
    if (next === "gone") return this.reopenLedger();
    if (next !== batch.next) return this.reopen({ ...ledger, nextOffset: next, leaderEpoch: UNKNOWN_EPOCH });
    this.#ledger = { ...ledger, nextOffset: next, leaderEpoch: batch.leaderEpoch };
    this.#lastTimestampMs = batch.records.at(-1)?.timestampMs ?? this.#lastTimestampMs;
    release(batch);
    this.ports.onChange();
  }

  #take(slice: Slice): void {
    // The partition may have moved to another offset since the fetch.
    if (slice.from !== this.#fetchOffset || slice.next === slice.from) return;
    this.#backlog.add(slice);
    this.#fetchOffset = slice.next;
    this.#lastEpoch = slice.leaderEpoch;
    this.fetchStatus.moved();
    this.#arrived.notify();
  }
}
