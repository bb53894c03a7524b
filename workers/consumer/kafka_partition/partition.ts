/** One assigned partition: what was fetched and waits, and the loop that writes it, one batch at a time, in order. */
import { EmptyAnswers } from "./empty_answers.ts";
import type { Offset } from "../../_shared/kafka/records.ts";
import { joinSlices, type OpenBatch, release, type Slice, splitSlice } from "./slice.ts";
import { Notifier } from "./notifier.ts";
import { UNKNOWN_EPOCH } from "./leader_epoch.ts";
import type { MonotonicClock } from "../health/progress.ts";
import type { LogName } from "../../_shared/kafka/topic.ts";
import type { Room } from "./room.ts";
import { Unreadable } from "./unreadable.ts";

/** One log: a partition of one incarnation of a topic, from the offset where we began to read it. */
export interface LedgerRow {
  readonly id: number;
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  /** 0, and one more each time the log was cut below what we had read. */
  readonly generation: number;
  readonly firstOffset: Offset;
  readonly nextOffset: Offset;
  /** Of the record before `nextOffset`; -1 while it is not known. */
  readonly leaderEpoch: number;
}

/** What a partition's loop needs from outside; the partition itself knows neither Kafka nor PostgreSQL. */
export interface PartitionPorts {
  /** Finds or opens the ledger; resolves to undefined when `signal` aborted first. */
  readonly open: (signal: AbortSignal) => Promise<LedgerRow | undefined>;
  /**
   * Writes a batch at the ledger's offset; undefined when given up because `signal` aborted.
   *
   * @returns where the ledger stands now; next is undefined when it has to be opened anew
   */
  readonly write: (
    ledger: LedgerRow,
    batch: OpenBatch,
    signal: AbortSignal,
  ) => Promise<{ readonly next: Offset | undefined } | undefined>;
  /** There may be room for records again, or the fetch offset moved. */
  readonly onChange: () => void;
  /** The loop has ended; it opens and writes nothing any more. */
  readonly onClosed: () => void;
}

export interface PartitionLimits {
  /** Bytes that may wait for their write, as `Slice.bytes` counts them. */
  readonly bufferBytes: number;
  /** Records in one batch, at most. */
  readonly batchRecords: number;
  /** Bytes in one batch, about, unless its first record has more. */
  readonly batchBytes: number;
  /** What all partitions share, for what waits and for what is being written. */
  readonly room: Room;
}

/**
 * `opening`: the ledger is not read yet. `reading`: fetch and write. `asking`: the broker says the offset is out of
 * range; being looked into. `held`: an operator must decide. `closed`: no longer ours.
 */
export type PartitionState = "opening" | "reading" | "asking" | "held" | "closed";

export class Partition implements AsyncDisposable {
  readonly log: LogName;
  state: PartitionState = "opening";
  /** Where the next fetch begins: behind everything that waits here. */
  fetchOffset: Offset = 0;
  /** Of the last record before `fetchOffset`; -1 while it is not known. */
  lastEpoch = UNKNOWN_EPOCH;
  /** The log has lost this offset; there is no sense in asking for it before what waits is written. */
  lostAt: Offset | undefined;
  /** End of the committed log as of the last fetch. */
  endOffset: Offset = 0;
  lastTimestampMs: number | undefined;
  /** How many bytes of memory a byte on the wire has turned into, decompressed; undefined until something was fetched. */
  expansion: number | undefined;
  /** Fetches that brought nothing although the log goes on. */
  readonly emptyAnswers: EmptyAnswers;
  /** The last fetch failed: its broker is away, or sent what cannot be read. */
  outOfReach = false;
  /** What lies at `fetchOffset`, when that cannot be read. */
  readonly unreadable = new Unreadable();

  readonly #ports: PartitionPorts;
  readonly #limits: PartitionLimits;
  readonly #arrived = new Notifier();
  readonly #closing = new AbortController();
  #ledger: LedgerRow | undefined;
  #waiting: Slice[] = [];
  #waitingBytes = 0;
  #doubted = false;
  #running: Promise<void> = Promise.resolve();

  constructor(
    log: LogName,
    ports: PartitionPorts,
    limits: PartitionLimits,
    clock: MonotonicClock = () => performance.now(),
  ) {
    this.log = log;
    this.emptyAnswers = new EmptyAnswers(clock);
    this.#ports = ports;
    this.#limits = limits;
  }

  /** Starts the loop. @param onCrash hears of a bug; expected failures are retried inside the ports */
  start(onCrash: (error: unknown) => void): void {
    this.#running = this.#run().catch(onCrash);
  }

  get number(): number {
    return this.log.partition;
  }

  get ledger(): LedgerRow | undefined {
    return this.#ledger;
  }

  /** Everything before this offset is in the database. */
  get nextOffset(): Offset | undefined {
    return this.#ledger?.nextOffset;
  }

  /** Whether everything that was fetched is written. */
  get isDrained(): boolean {
    return this.nextOffset === this.fetchOffset;
  }

  /** Whether everything that the log is known to have was fetched. */
  get isAtEnd(): boolean {
    return this.fetchOffset >= this.endOffset;
  }

  /** Records that we could store and have not: what cannot be fetched at the moment is for others to mend. */
  get due(): number {
    const isBlocked = this.state === "held" || this.outOfReach || this.emptyAnswers.areSilence;
    const end = isBlocked ? this.fetchOffset : this.endOffset;
    return Math.max(0, end - (this.nextOffset ?? end));
  }

  /** How long it is not to be asked for, milliseconds; 0 when it may be. */
  get pauseMs(): number {
    return Math.max(this.unreadable.pauseMs, this.emptyAnswers.pauseMs);
  }

  get wantsRecords(): boolean {
    if (this.lostAt === this.fetchOffset && !this.isDrained) return false;
    const { bufferBytes, room } = this.#limits;
    return this.state === "reading" && this.#waitingBytes < bufferBytes && !room.isFull;
  }

  /** Takes a fetched stretch; one that does not continue what we have (we moved since) is dropped. */
  accept(slice: Slice): void {
    if (this.state !== "reading" && this.state !== "asking") return;
    if (slice.from !== this.fetchOffset || slice.next === slice.from) return;
    this.#waiting.push(slice);
    this.#waitingBytes += slice.bytes;
    this.#limits.room.take(slice.bytes);
    this.fetchOffset = slice.next;
    this.lastEpoch = slice.leaderEpoch;
    this.emptyAnswers.forget();
    this.#arrived.notify();
  }

  /** Goes on in another generation of the log. */
  reopen(ledger: LedgerRow): void {
    this.#seek(ledger);
    this.state = "reading";
    this.#ports.onChange();
  }

  /** Opens the ledger anew, for it does not say any more what we remember. */
  doubt(): void {
    this.#doubted = true;
    this.#arrived.notify();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    await this.#open(signal);
    while (!signal.aborted) {
      const batch = this.#doubted ? undefined : this.#takeBatch();
      if (this.#doubted) await this.#open(signal);
      else if (batch === undefined) await this.#arrived.wait({ signal });
      else await this.#write(batch, signal);
    }
  }

  async #open(signal: AbortSignal): Promise<void> {
    this.#doubted = false;
    const ledger = await this.#ports.open(signal);
    if (ledger !== undefined) this.reopen(ledger);
  }

  async #write(begun: Slice, signal: AbortSignal): Promise<void> {
    const ledger = this.#ledger;
    if (ledger === undefined) return;
    let batch = begun;
    const open: OpenBatch = {
      count: () => {
        const joining = this.#joining(batch).reduce((sum, { records }) => sum + records.length, 0);
        return Math.min(batch.records.length + joining, this.#limits.batchRecords);
      },
      close: () => batch = this.#withWhatCame(batch),
    };
    let written: Awaited<ReturnType<PartitionPorts["write"]>>;
    try {
      written = await this.#ports.write(ledger, open, signal);
    } finally {
      this.#limits.room.give(batch.bytes);
    }
    if (written === undefined) return;
    if (written.next === batch.next) {
      this.#ledger = { ...ledger, nextOffset: batch.next, leaderEpoch: batch.leaderEpoch };
      this.lastTimestampMs = batch.records.at(-1)?.timestampMs ?? this.lastTimestampMs;
      release(batch);
    } else if (written.next === undefined) {
      return this.doubt();
    } else {
      this.#seek({ ...ledger, nextOffset: written.next, leaderEpoch: UNKNOWN_EPOCH });
    }
    this.#ports.onChange();
  }

  /** Reads from the ledger's offset; what waited is dropped, since it was fetched for another one. */
  #seek(ledger: LedgerRow): void {
    this.#ledger = ledger;
    this.#dropWaiting();
    this.fetchOffset = ledger.nextOffset;
    this.lastEpoch = ledger.leaderEpoch;
    this.emptyAnswers.forget();
    this.unreadable.forget();
  }

  #dropWaiting(): void {
    this.#limits.room.give(this.#waitingBytes);
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  /** What waits goes on behind it, unless we moved since. */
  #joining(batch: Slice): readonly Slice[] {
    return this.#waiting[0]?.from === batch.next ? this.#waiting : [];
  }

  /** The batch in hand and what joins it: small when quiet, large when busy. */
  #withWhatCame(batch: Slice): Slice {
    if (this.#joining(batch).length === 0) return batch;
    this.#waiting.unshift(batch);
    this.#waitingBytes += batch.bytes;
    const grown = this.#takeBatch() ?? batch;
    // What it took along has left room behind.
    this.#ports.onChange();
    return grown;
  }

  /** As much of what waits as a batch may have. */
  #takeBatch(): Slice | undefined {
    const { batchRecords, batchBytes } = this.#limits;
    let count = 0;
    let records = 0;
    let bytes = 0;
    for (const slice of this.#waiting) {
      // A gap is a row too.
      const rows = slice.records.length + slice.gaps.length;
      if (count > 0 && (records + rows > batchRecords || bytes + slice.bytes > batchBytes)) break;
      records += rows;
      bytes += slice.bytes;
      count++;
    }
    const [whole, ...rest] = this.#waiting.splice(0, count);
    if (whole === undefined) return undefined;
    // Only a first stretch can be too much by itself: compressed, hundreds of thousands of records fit into one.
    const fitting = whole.bytes > batchBytes ? whole.records.countWithin(batchBytes) : batchRecords;
    const [first, remainder] = splitSlice(whole, Math.min(fitting, batchRecords));
    if (remainder !== undefined) this.#waiting.unshift(remainder);
    const batch = joinSlices([first, ...rest]);
    this.#waitingBytes -= batch.bytes;
    return batch;
  }

  /** Finishes the batch in hand, if the database answers, and drops what waits. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.state = "closed";
    this.#closing.abort();
    await this.#running;
    this.#ports.onClosed();
    this.#dropWaiting();
    // Others may have waited for the room that it leaves.
    this.#ports.onChange();
  }
}
