/**
 * Folder `day_partitions`: creates the day partitions of public.heartbeats and removes old data, without delaying the ingest.
 *
 * This file: creates day partitions ahead of time, or before the transaction of a batch that needs them. The default partition
 * takes the readings of other days.
 */
import { type Database, isServerUnavailable, sqlState } from "../../_shared/postgres.ts";
import type { MonotonicClock } from "../health/health_state.ts";

const DAY_MS = 86_400_000;
/** Days after today that have a partition, so that the partition of the next day exists at midnight. */
const DAYS_AHEAD = 2;
/** Maximum number of partitions that a batch waits for: a malicious producer can send readings of thousands of days. */
const DAYS_AT_ONCE = 32;
const MAX_REMEMBERED_DAYS = 10_000;
/** Attempts to get a lock. Each ends after the lock_timeout of the SQL function. */
const ATTEMPTS = 3;
/** After this time, a batch or a round creates no further partition. */
const MAX_CREATING_MS = 5_000;
/** After a lock conflict, no batch creates a partition for this long, because each attempt makes other sessions wait. */
const PAUSE_MS = 20_000;

/** `covered`: whether the partition existed before. The statement's snapshot does not show a partition that it creates. */
const ENSURE = `
  select public.ensure_heartbeat_partition('public.heartbeats', $1::timestamptz) as name,
         exists (select from public.heartbeat_partitions('public.heartbeats')
                  where $1::timestamptz >= lower_bound and $1::timestamptz < upper_bound) as covered`;

/** Reads the instant as text, because a Date has no microseconds. */
const WITHOUT_PARTITION = `
  select at::text, floor(extract(epoch from at) / 86400)::float8 as day
    from public.heartbeats_without_partition('public.heartbeats') at`;

export class DayPartitions {
  /** Days since the Unix epoch that have a partition. */
  readonly #made = new Set<number>();
  /** Days whose readings stay in the default partition until emptyDefault() moves them. */
  readonly #postponed = new Set<number>();
  #pausedUntil = -Infinity;

  constructor(
    private readonly database: Database,
    private readonly telemetry: {
      readonly tablePartitionMade: (partition: string) => void;
      readonly tablePartitionFailed: (error: unknown, day: string) => void;
    },
    private readonly clock: MonotonicClock = () => performance.now(),
  ) {}

  /** Fails only if the database is unavailable. Calls `onDay` before each partition and after the last one. */
  async prepare(days: Iterable<number>, onDay: () => void): Promise<void> {
    let asked = 0;
    const giveUpAt = this.clock() + MAX_CREATING_MS;
    for (const day of days) {
      if (this.#made.has(day) || this.#postponed.has(day)) continue;
      const now = this.clock();
      if (asked < DAYS_AT_ONCE && now < giveUpAt && now >= this.#pausedUntil) {
        asked++;
        onDay();
        await this.#ensure(day, startOf(day), ATTEMPTS);
      } else remember(this.#postponed, day);
    }
    if (asked > 0) onDay();
  }

  /** @returns why a partition could not be created, or undefined */
  async makeAhead(nowMs: number): Promise<unknown> {
    const today = Math.floor(nowMs / DAY_MS);
    for (let day = today; day <= today + DAYS_AHEAD; day++) {
      if (this.#made.has(day)) continue;
      const failure = await this.#ensure(day, startOf(day), 1);
      if (failure !== undefined) return failure;
    }
    return undefined;
  }

  /** Moves readings out of the default partition until the time is up. Returns the error if some could not be moved. */
  async emptyDefault(): Promise<unknown> {
    let failure: unknown;
    const giveUpAt = this.clock() + MAX_CREATING_MS;
    while (failure === undefined && this.clock() < giveUpAt) {
      const found = await this.database.query<{ day: number; at: string }>(WITHOUT_PARTITION);
      if (found.length === 0) return undefined;
      for (const { day, at } of found) {
        const failed = await this.#ensure(day, at, 1);
        failure ??= failed;
        if (isLockConflictOrTimeout(failed)) return failure;
      }
    }
    return failure;
  }

  /** Needed after the database was replaced by an older copy of itself. */
  forget(): void {
    this.#made.clear();
    this.#postponed.clear();
  }

  /** @param at an instant of the day, because a day can have several partitions */
  async #ensure(day: number, at: string, attempts: number): Promise<unknown> {
    let failure: unknown = new Error("the database created no partition");
    for (let attempt = 1; attempt <= attempts; attempt++) {
      try {
        const [row] = await this.database.query<{ name: string | null; covered: boolean }>(ENSURE, [at]);
        if (typeof row?.name !== "string") break;
        this.#pausedUntil = -Infinity;
        if (!row.covered) this.telemetry.tablePartitionMade(row.name);
        remember(this.#made, day);
        this.#postponed.delete(day);
        return undefined;
      } catch (error) {
        if (sqlState(error) === undefined || isServerUnavailable(error)) throw error;
        failure = error;
        if (!isLockConflict(error)) break;
      }
    }
    if (isLockConflictOrTimeout(failure)) this.#pausedUntil = this.clock() + PAUSE_MS;
    if (!this.#postponed.has(day)) this.telemetry.tablePartitionFailed(failure, startOf(day).slice(0, 10));
    remember(this.#postponed, day);
    return failure;
  }
}

function startOf(day: number): string {
  return new Date(day * DAY_MS).toISOString();
}

function remember(days: Set<number>, day: number): void {
  if (days.size >= MAX_REMEMBERED_DAYS) days.clear();
  days.add(day);
}

const hasState = (states: RegExp) => (error: unknown): boolean => states.test(sqlState(error) ?? "");

/** PostgreSQL's lock_not_available and deadlock_detected. */
const isLockConflict = hasState(/^(55P03|40P01)$/);
/** PostgreSQL's query_canceled. */
export const isStatementTimeout = hasState(/^57014$/);
export const isLockConflictOrTimeout = (error: unknown): boolean =>
  isLockConflict(error) || isStatementTimeout(error);
