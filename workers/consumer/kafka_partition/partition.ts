/** One assigned partition: where reading and writing stand, and the loop that writes it, one batch at a time, in order. */
import type { Divergence } from "../../_shared/kafka/fetcher.ts";
import type { LogName } from "../../_shared/kafka/topic.ts";
import type { Offset } from "../../_shared/kafka/records.ts";
import type { MonotonicClock } from "../health/progress.ts";
import { Backlog, type BacklogLimits } from "./backlog.ts";
import { Answers, type Question } from "./answers.ts";
import { Notifier } from "./notifier.ts";
import { type Gap, gapSlice, type OpenBatch, release, type Slice, UNKNOWN_EPOCH } from "./slice.ts";

/** One log: a partition of one incarnation of a topic, from the offset where we began to read it. */
export interface LedgerRow extends LogName {
  readonly id: number;
  /** 0, and one more each time the log was cut below what we had read. */
  readonly generation: number;
  readonly firstOffset: Offset;
  readonly nextOffset: Offset;
  /** Of the record before `nextOffset`; -1 while it is not known. */
  readonly leaderEpoch: number;
}

/** What a partition's loop needs from outside. Each insists until it is done, or until `signal` aborts. */
export interface PartitionPorts {
  /** Finds or opens the ledger. @returns undefined when `signal` aborted first */
  open(signal: AbortSignal): Promise<LedgerRow | undefined>;
  /** @returns where the ledger stands now; "gone" when it has to be opened anew; undefined when `signal` aborted first */
  write(ledger: LedgerRow, batch: OpenBatch, signal: AbortSignal): Promise<Offset | "gone" | undefined>;
  /** Calls `placed` or `reopen` of a partition that is `asking`, unless `signal` aborts. */
  findPlace(partition: Partition, divergence: Divergence | undefined, signal: AbortSignal): Promise<void>;
  /** There may be room for records again, or the fetch offset moved. */
  onChange(): void;
}

/**
 * `opening`: the ledger is not read yet. `reading`: fetch and write. `asking`: the log does not hold the offset: what was
 * fetched is written, then the log looked at. `held`: an operator must decide. `closed`: no longer ours, for good.
 */
export type PartitionState = "opening" | "reading" | "asking" | "held" | "closed";

/** Methods that are named after facts move its state; a fact that means nothing in the present state is ignored. */
export class Partition implements AsyncDisposable {
  readonly number: number;
  readonly answers: Answers;
  readonly #backlog: Backlog;
  readonly #arrived = new Notifier();
  readonly #closing = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #state: PartitionState = "opening";
  #ledger: LedgerRow | undefined;
  /** Whether the ledger is to be opened, or opened anew. */
  #doubted = true;
  #fetchOffset: Offset = 0;
  #lastEpoch = UNKNOWN_EPOCH;
  #endOffset: Offset = 0;
  #lastTimestampMs: number | undefined;
  /** While `asking`. */
  #divergence: Divergence | undefined;
  /** Ends the search for the place. */
  #search = new AbortController();

  constructor(
    readonly log: LogName,
    private readonly ports: PartitionPorts,
    limits: BacklogLimits,
    clock: MonotonicClock = () => performance.now(),
  ) {
    this.number = log.partition;
    this.#backlog = new Backlog(limits);
    this.answers = new Answers(clock);
  }

  get state(): PartitionState {
    return this.#state;
  }

  /** Undefined before it is opened for the first time. */
  get ledger(): LedgerRow | undefined {
    return this.#ledger;
  }

  /** Where the next fetch begins: behind everything that waits here. */
  get fetchOffset(): Offset {
    return this.#fetchOffset;
  }

  /** Leader epoch of the last record before `fetchOffset`; -1 while it is not known. */
  get lastEpoch(): number {
    return this.#lastEpoch;
  }

  /** End of the committed log as a broker last said it. */
  get endOffset(): Offset {
    return this.#endOffset;
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
    return this.#fetchOffset >= this.#endOffset;
  }

  /** Records that we could store and have not: what cannot be fetched at the moment is for others to mend. */
  get due(): number {
    const isBlocked = this.#state === "held" || this.answers.areMissing;
    const end = isBlocked ? this.#fetchOffset : this.#endOffset;
    return Math.max(0, end - (this.nextOffset ?? end));
  }

  get wantsRecords(): boolean {
    return this.#state === "reading" && this.#backlog.hasRoom;
  }

  /** Starts the loop. @param onCrash hears of a bug; expected failures are retried inside the ports */
  start(onCrash: (error: unknown) => void): void {
    this.#running = this.#run().catch(onCrash);
  }

  /** Takes a stretch of the log; one that does not continue what we have (we moved since) is dropped. */
  accept(slice: Slice): void {
    if (this.#state === "reading") this.#take(slice);
  }

  /** A broker said so. */
  logEndsAt(offset: Offset): void {
    this.#endOffset = offset;
  }

  /** A fetch brought nothing. @returns what the log is known by now to hold no record of, up to its end */
  foundNothing(question: Question): Gap | undefined {
    if (this.isAtEnd) this.answers.moved();
    else if (this.answers.empty(question, this.#endOffset)) return this.skip(this.#endOffset, "compacted");
    return undefined;
  }

  /** Nothing is left of the log from `fetchOffset` to this offset. */
  skip(to: Offset, cause: Gap["cause"]): Gap {
    const gap = { from: this.#fetchOffset, to, cause };
    if (this.#state === "reading" || this.#state === "asking") this.#take(gapSlice(gap.from, to, cause));
    return gap;
  }

  /** The log does not hold `fetchOffset`, or holds other records before it than we read. */
  placeLost(divergence?: Divergence): void {
    if (this.#state !== "reading") return;
    this.#state = "asking";
    this.#divergence = divergence;
    // The broker answered, so the partition is not silent.
    this.answers.moved();
    this.#arrived.notify();
  }

  /** The log was looked at. `held`: to read on would lose or repeat records. */
  placed(state: "reading" | "held"): void {
    if (this.#state !== "asking") return;
    this.#state = state;
    this.ports.onChange();
  }

  /** The ledger is elsewhere than we thought: reads from its offset. What waits is dropped, as it was fetched for another. */
  reopen(ledger: LedgerRow): void {
    if (this.#state === "closed") return;
    this.#state = "reading";
    this.#ledger = ledger;
    this.#backlog.clear();
    this.#fetchOffset = ledger.nextOffset;
    this.#lastEpoch = ledger.leaderEpoch;
    this.answers.moved();
    this.ports.onChange();
  }

  /** Opens the ledger anew, for it does not say any more what we remember; a place being sought is sought no longer. */
  doubt(): void {
    this.#doubted = true;
    this.#search.abort();
    this.#arrived.notify();
  }

  /** Finishes the batch in hand, if the database answers, and drops what waits. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#state = "closed";
    this.#closing.abort();
    await this.#running;
    this.#backlog.clear();
    // Others may have waited for the room that it leaves.
    this.ports.onChange();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const batch = this.#doubted ? undefined : this.#backlog.takeBatch();
      if (this.#doubted) {
        this.#doubted = false;
        const ledger = await this.ports.open(signal);
        if (ledger !== undefined) this.reopen(ledger);
      } else if (batch !== undefined) await this.#write(batch, signal);
      else if (this.#state === "asking") {
        this.#search = new AbortController();
        const either = AbortSignal.any([signal, this.#search.signal]);
        await this.ports.findPlace(this, this.#divergence, either);
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
        // What it took along has left room behind.
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
    if (next === "gone") return this.doubt();
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
    this.answers.moved();
    this.#arrived.notify();
  }
}
