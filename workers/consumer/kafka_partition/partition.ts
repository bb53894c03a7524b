/** One assigned partition: how far it is read and written, and the loop that writes it, one batch at a time, in order. */
import type { Divergence } from "../../_shared/kafka/fetcher.ts";
import type { TopicIdPartition } from "../../_shared/kafka/topic.ts";
import type { Offset } from "../../_shared/kafka/records.ts";
import type { MonotonicClock } from "../health/health_state.ts";
import { Backlog, type BacklogLimits } from "./backlog.ts";
import { type FetchConditions, FetchStatus } from "./fetch_status.ts";
import { Notifier } from "./notifier.ts";
import { type Gap, gapSlice, type OpenBatch, release, type Slice, UNKNOWN_EPOCH } from "./slice.ts";

/** The ledger's row of one log: a partition of one incarnation of a topic. */
export interface LedgerRow extends TopicIdPartition {
  readonly id: number;
  /** One more each time the log was cut below `nextOffset`. */
  readonly generation: number;
  readonly firstOffset: Offset;
  readonly nextOffset: Offset;
  /** Of the record before `nextOffset`; -1 while it is not known. */
  readonly leaderEpoch: number;
}

/** What a partition's loop needs from outside. Each port retries until it succeeds or `signal` aborts. */
export interface PartitionPorts {
  /** Finds or opens the ledger. @returns undefined when `signal` aborted first */
  open(signal: AbortSignal): Promise<LedgerRow | undefined>;
  /** @returns where the ledger stands now; "gone" when it has to be opened anew; undefined when `signal` aborted first */
  write(ledger: LedgerRow, batch: OpenBatch, signal: AbortSignal): Promise<Offset | "gone" | undefined>;
  /** Calls `placed` or `reopen` of a partition that is `resetting`, unless `signal` aborts. */
  resolveOffsetReset(
    partition: Partition,
    divergence: Divergence | undefined,
    signal: AbortSignal,
  ): Promise<void>;
  /** There may be room for records again, or the fetch offset moved. */
  onChange(): void;
}

/**
 * `opening`: the ledger is not read yet. `reading`: fetch and write. `resetting`: the log does not hold the fetch offset: what
 * waits is written, then the place is sought. `held`: an operator must decide. `closed`: no longer assigned, for good.
 */
export type PartitionState = "opening" | "reading" | "resetting" | "held" | "closed";

/** Methods named after facts change the state. A fact that means nothing in the present state is ignored. */
export class Partition implements AsyncDisposable {
  readonly number: number;
  readonly fetchStatus: FetchStatus;
  readonly #backlog: Backlog;
  readonly #arrived = new Notifier();
  readonly #closing = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #state: PartitionState = "opening";
  #ledger: LedgerRow | undefined;
  /** Whether the ledger has to be opened, or opened again. */
  #mustOpenLedger = true;
  #fetchOffset: Offset = 0;
  #lastEpoch = UNKNOWN_EPOCH;
  /** End of the committed log, as of a broker's last answer. */
  lastStableOffset: Offset = 0;
  #lastTimestampMs: number | undefined;
  /** While `resetting`. */
  #divergence: Divergence | undefined;
  /** Ends the search for the place. */
  #search = new AbortController();

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

  /** Where the next fetch begins: behind all records that wait here. */
  get fetchOffset(): Offset {
    return this.#fetchOffset;
  }

  /** Leader epoch of the last record before `fetchOffset`; -1 while it is not known. */
  get lastEpoch(): number {
    return this.#lastEpoch;
  }

  /** Of the last record that is written; milliseconds since the Unix epoch. */
  get lastTimestampMs(): number | undefined {
    return this.#lastTimestampMs;
  }

  /** Everything before this offset is in the database. */
  get nextOffset(): Offset | undefined {
    return this.#ledger?.nextOffset;
  }

  /** Whether everything that was fetched is written. */
  get isDrained(): boolean {
    return this.nextOffset === this.#fetchOffset;
  }

  /** Whether everything that the log is known to have was fetched. */
  get isAtEnd(): boolean {
    return this.#fetchOffset >= this.lastStableOffset;
  }

  /** Records that could be stored and are not. Records that cannot be fetched at the moment do not count. */
  get fetchableLag(): number {
    const isBlocked = this.#state === "held" || this.fetchStatus.cannotFetch;
    const end = isBlocked ? this.#fetchOffset : this.lastStableOffset;
    return Math.max(0, end - (this.nextOffset ?? end));
  }

  get wantsRecords(): boolean {
    return this.#state === "reading" && this.#backlog.isBelowLimits;
  }

  /** Starts the loop. @param onCrash is called for a bug; expected failures are retried inside the ports */
  start(onCrash: (error: unknown) => void): void {
    this.#running = this.#run().catch(onCrash);
  }

  /** A slice that does not begin at `fetchOffset` is dropped: the partition moved since it was fetched. */
  accept(slice: Slice): void {
    if (this.#state === "reading") this.#take(slice);
  }

  /** A fetch brought nothing. @returns a gap up to the end of the log, when it is proven to hold no record there */
  foundNothing(question: FetchConditions): Gap | undefined {
    if (this.isAtEnd) this.fetchStatus.moved();
    else if (this.fetchStatus.empty(question, this.lastStableOffset)) {
      return this.skip(this.lastStableOffset, "compacted");
    }
    return undefined;
  }

  /** The log has no record from `fetchOffset` to this offset. */
  skip(to: Offset, cause: Gap["cause"]): Gap {
    const gap = { from: this.#fetchOffset, to, cause };
    if (this.#state === "reading" || this.#state === "resetting") this.#take(gapSlice(gap.from, to, cause));
    return gap;
  }

  /** The log does not hold `fetchOffset`, or holds other records before it than were read. */
  offsetLost(divergence?: Divergence): void {
    if (this.#state !== "reading") return;
    this.#state = "resetting";
    this.#divergence = divergence;
    // The broker answered, so the partition is not silent.
    this.fetchStatus.moved();
    this.#arrived.notify();
  }

  /** The place in the log was found. `held`: to read on would lose or repeat records. */
  offsetResolved(state: "reading" | "held"): void {
    if (this.#state !== "resetting") return;
    this.#state = state;
    this.ports.onChange();
  }

  /** Reads on from the offset of this ledger row. Waiting records are dropped: they were fetched for another offset. */
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

  /** The ledger is not where this partition left it: opens it again, and stops seeking a place. */
  reopenLedger(): void {
    this.#mustOpenLedger = true;
    this.#search.abort();
    this.#arrived.notify();
  }

  /** Finishes the batch in hand, if the database answers, and drops the backlog. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#state = "closed";
    this.#closing.abort();
    await this.#running;
    this.#backlog.clear();
    // Other partitions may wait for this room.
    this.ports.onChange();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const batch = this.#mustOpenLedger ? undefined : this.#backlog.takeBatch();
      if (this.#mustOpenLedger) {
        this.#mustOpenLedger = false;
        const ledger = await this.ports.open(signal);
        if (ledger !== undefined) this.reopen(ledger);
      } else if (batch !== undefined) await this.#write(batch, signal);
      else if (this.#state === "resetting") {
        this.#search = new AbortController();
        const either = AbortSignal.any([signal, this.#search.signal]);
        await this.ports.resolveOffsetReset(this, this.#divergence, either);
      } else await this.#arrived.wait({ signal });
    }
  }

  async #write(begun: Slice, signal: AbortSignal): Promise<void> {
    const ledger = this.#ledger;
    if (ledger === undefined) return;
    let batch = begun;
    const open: OpenBatch = {
      count: () => this.#backlog.countWith(batch),
      close: () => {
        batch = this.#backlog.grow(batch);
        // The backlog has room again.
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
    if (slice.from !== this.#fetchOffset || slice.next === slice.from) return;
    this.#backlog.add(slice);
    this.#fetchOffset = slice.next;
    this.#lastEpoch = slice.leaderEpoch;
    this.fetchStatus.moved();
    this.#arrived.notify();
  }
}
