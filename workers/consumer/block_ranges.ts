/**
 * Has PostgreSQL sum up the ranges of blocks that readings fill, which queries of a range of time find them by: left to its
 * autovacuum, millions of rows behind a backlog are read by each of them (decision 0018).
 */
import { sleep } from "../_shared/backoff.ts";
import { type Database, isServerUnable, sqlState } from "../_shared/postgres.ts";
import type { MonotonicClock } from "./progress.ts";

const INTERVAL_MS = 1_000;
/** `pages_per_range` of the index (migration 0006): less is not summed up. */
const RANGE_BLOCKS = 32;
/** Nobody has to wait for a summary, and what is refused, for a right that is not there, is refused again. */
const FAILURE_PAUSE_MS = 300_000;

export interface BlockRangePorts {
  readonly database: Database;
  readonly telemetry: { readonly summaryFailed: (error: unknown) => void };
}

/** How much of a partition is summed up. */
interface Summed {
  /** Blocks: what lies behind them is not, as far as we know. */
  readonly upTo: number;
  /** Whether all before is: what was there before us is left alone until the partition grows. */
  readonly surely: boolean;
}

const NOTHING: Summed = { upTo: 0, surely: false };

export class BlockRanges {
  readonly #ports: BlockRangePorts;
  readonly #clock: MonotonicClock;
  /** By the partition's object id; undefined before the first look. */
  #summed: ReadonlyMap<number, Summed> | undefined;
  #due = true;
  #pausedUntil = -Infinity;

  /** @param clock in milliseconds; never jumps */
  constructor(ports: BlockRangePorts, clock: MonotonicClock = () => performance.now()) {
    this.#ports = ports;
    this.#clock = clock;
  }

  /** There may be something new. */
  written(): void {
    this.#due = true;
  }

  /** Runs until `signal` aborts. */
  async keep({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    while (!signal.aborted) {
      await this.round();
      await sleep(INTERVAL_MS, { signal });
    }
  }

  /** Sums up what is new since the last round, when something was written. Never rejects: what fails is told. */
  async round(): Promise<void> {
    if (!this.#due || this.#clock() < this.#pausedUntil) return;
    this.#due = false;
    try {
      this.#summed = await this.#summarize();
    } catch (error) {
      // Of a server that is away the writers tell.
      if (sqlState(error) === undefined || isServerUnable(error)) return;
      this.#pausedUntil = this.#clock() + FAILURE_PAUSE_MS;
      this.#ports.telemetry.summaryFailed(error);
    }
  }

  async #summarize(): Promise<ReadonlyMap<number, Summed>> {
    const partitions = await this.#ports.database.query<{ partition: number; blocks: number }>(
      `select inhrelid as partition,
              (pg_relation_size(inhrelid) / current_setting('block_size')::integer)::float8 as blocks
         from pg_inherits
        where inhparent = 'public.heartbeats'::regclass`,
    );
    const summed = new Map<number, Summed>();
    for (const { partition, blocks } of partitions) {
      const before = this.#summed === undefined
        ? { upTo: blocks, surely: false }
        : this.#summed.get(partition) ?? NOTHING;
      // One that is smaller than it was is another: the database was replaced by an older copy.
      summed.set(partition, await this.#extend(partition, blocks, before.upTo <= blocks ? before : NOTHING));
    }
    return summed;
  }

  async #extend(partition: number, blocks: number, before: Summed): Promise<Summed> {
    if (blocks - before.upTo < RANGE_BLOCKS) return before;
    const [row] = await this.#ports.database.query<{ next: number | null }>(
      "select public.summarize_heartbeat_blocks($1::oid::regclass, $2)::float8 as next",
      [partition, before.surely ? before.upTo : null],
    );
    if (typeof row?.next === "number") return { upTo: row.next, surely: true };
    // Somebody has the lock.
    this.#due = true;
    return before;
  }
}
