/**
 * Folder `day_partitions`: makes the partitions of public.heartbeats, keeps their summaries, and removes what is old. It
 * never reads or writes a record, and what it does never holds up the transactions that do.
 *
 * This file: has PostgreSQL sum up the ranges of blocks that readings fill, which queries of a range of time find them by:
 * left to its autovacuum, millions of rows behind a backlog are read by each of them (decision 0018).
 */
import { sleep } from "../../_shared/backoff.ts";
import { type Database, isServerUnable, sqlState } from "../../_shared/postgres.ts";
import { isLostRace } from "./day_partitions.ts";
import type { MonotonicClock } from "../health/progress.ts";

const INTERVAL_MS = 1_000;
/** As the index has it (migration 0006): a partition that has grown by less has nothing to sum up. */
const RANGE_BLOCKS = 32;
/** Nobody has to wait for a summary, and what is refused, for a right that is not there, is refused again. */
const FAILURE_PAUSE_MS = 300_000;

/** How far a partition is summed up, in blocks: all before `from`. It is due when it has grown from `grownFrom`. */
const NOTHING = { from: 0, grownFrom: 0 };

export class BlockRanges {
  /** By the partition's object id; undefined before the first look. */
  #summedUp: Map<number, typeof NOTHING> | undefined;
  readonly #pausedUntil = new Map<number, number>();
  #due = true;
  #busy = false;

  constructor(
    private readonly ports: Readonly<
      { database: Database; telemetry: { summaryFailed(error: unknown): void } }
    >,
    private readonly clock: MonotonicClock = () => performance.now(),
  ) {}

  written(): void {
    this.#due = true;
  }

  /** Runs until `signal` aborts, and does not wait then for what is under way. */
  async keep({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    while (!signal.aborted) {
      void this.round(signal);
      await sleep(INTERVAL_MS, { signal });
    }
  }

  /** Sums up what is new since the last round, when something was written. Never rejects: what fails is told. */
  async round(signal: AbortSignal): Promise<void> {
    if (!this.#due || this.#busy) return;
    this.#due = false;
    this.#busy = true;
    try {
      for (const { partition, blocks } of await this.#look()) {
        if (signal.aborted) return;
        await this.#extend(partition, blocks);
      }
    } catch {
      // Of a server that is away the writers tell.
      this.#due = true;
    } finally {
      this.#busy = false;
    }
  }

  /** The partitions and their sizes. To be asked for its size would make one wait that is being rewritten or dropped. */
  async #look(): Promise<{ partition: number; blocks: number }[]> {
    // Integers come as text, which no setting of the session rounds.
    const rows = await this.ports.database.query<{ partition: number; blocks: string }>(
      `select inhrelid as partition,
              pg_relation_size(inhrelid) / current_setting('block_size')::integer as blocks
         from pg_inherits
        where inhparent = 'public.heartbeats'::regclass
          and inhrelid not in (select relation from pg_locks
                                where relation is not null and mode = 'AccessExclusiveLock')`,
    );
    const partitions = rows.map(({ partition, blocks }) => ({ partition, blocks: Number(blocks) }));
    this.#summedUp ??= new Map(
      partitions.map(({ partition, blocks }) => [partition, { from: 0, grownFrom: blocks }]),
    );
    return partitions;
  }

  /** @throws what is no answer of the server, or says that it cannot answer */
  async #extend(partition: number, blocks: number): Promise<void> {
    const known = this.#summedUp?.get(partition) ?? NOTHING;
    // One that is smaller than it was is another: the database was replaced by an older copy.
    const { from, grownFrom } = known.grownFrom <= blocks ? known : NOTHING;
    if (blocks - grownFrom < RANGE_BLOCKS) return;
    // Somebody may have the lock, and of much a part is summed up at a time.
    this.#due = true;
    if (this.clock() < (this.#pausedUntil.get(partition) ?? 0)) return;
    try {
      const [row] = await this.ports.database.query<{ next: string | null }>(
        "select public.summarize_heartbeat_blocks($1::oid::regclass, $2) as next",
        [partition, from],
      );
      if (typeof row?.next === "string") {
        this.#summedUp?.set(partition, { from: Number(row.next), grownFrom: Number(row.next) });
      }
    } catch (error) {
      if (sqlState(error) === undefined || isServerUnable(error)) throw error;
      if (isLostRace(error)) return;
      this.#pausedUntil.set(partition, this.clock() + FAILURE_PAUSE_MS);
      this.ports.telemetry.summaryFailed(error);
    }
  }
}
