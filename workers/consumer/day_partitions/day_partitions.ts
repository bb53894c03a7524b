/**
 * Folder `day_partitions`: makes the partitions of public.heartbeats and removes old rows. It never reads or writes a record,
 * and never delays the transactions that do.
 *
 * This file: makes partitions, ahead of time and for any day before its readings are written. Never in the transaction that
 * writes, since making one takes locks. Where it cannot be made, the default partition takes the rows.
 */
import { type Database, isServerUnavailable, sqlState } from "../../_shared/postgres.ts";
import type { MonotonicClock } from "../health/health_state.ts";

const DAY_MS = 86_400_000;
/** Today and as many days ahead, so that midnight finds its partition made. */
const DAYS_AHEAD = 2;
/** Partitions that a batch makes at most; the default partition takes the rows of other days. */
const DAYS_AT_ONCE = 32;
/** Beyond this many remembered days, all are forgotten. */
const MOST_REMEMBERED = 10_000;
/** Attempts to get a lock, each as long as the function's lock_timeout. */
const ATTEMPTS = 3;
/** After this time a batch, or a round, begins no further partition. */
const PATIENCE_MS = 5_000;
/** Pause of all batches after a failed lock: each attempt makes others wait, and all days share the lock. */
const PAUSE_MS = 20_000;

/** `covered`: before the statement, whose snapshot it reads. */
const ENSURE = `
  select public.ensure_heartbeat_partition('public.heartbeats', $1::timestamptz) as name,
         exists (select from public.heartbeat_partitions('public.heartbeats')
                  where $1::timestamptz >= lower_bound and $1::timestamptz < upper_bound) as covered`;

/** One reading of each of some days in the default partition. As text, since a Date has no microseconds. */
const WITHOUT_PARTITION = `
  select at::text, floor(extract(epoch from at) / 86400)::float8 as day
    from public.heartbeats_without_partition('public.heartbeats') at`;

export class DayPartitions {
  /** Days, counted since the Unix epoch, that have a partition. */
  readonly #made = new Set<number>();
  /** Days that no batch makes: their rows go to the default partition, where the rounds find them. */
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

  /**
   * Makes the partitions of these days. Fails when the database is away, never because of a partition.
   * @param onDay is called before each partition, and after the last
   */
  async prepare(days: Iterable<number>, onDay: () => void): Promise<void> {
    let asked = 0;
    const giveUpAt = this.clock() + PATIENCE_MS;
    for (const day of days) {
      if (this.#made.has(day) || this.#postponed.has(day)) continue;
      const now = this.clock();
      // A batch must not wait for thousands, which a malicious producer could cause: they are made later.
      if (asked < DAYS_AT_ONCE && now < giveUpAt && now >= this.#pausedUntil) {
        asked++;
        onDay();
        await this.#ensure(day, startOf(day), ATTEMPTS);
      } else remember(this.#postponed, day);
    }
    if (asked > 0) onDay();
  }

  /** Makes the partitions of today and the next days. @returns why one could not be made; undefined when all exist */
  async makeAhead(nowMs: number): Promise<unknown> {
    const today = Math.floor(nowMs / DAY_MS);
    for (let day = today; day <= today + DAYS_AHEAD; day++) {
      if (this.#made.has(day)) continue;
      const failure = await this.#ensure(day, startOf(day), 1);
      if (failure !== undefined) return failure;
    }
    return undefined;
  }

  /**
   * Moves readings out of the default partition, whichever process wrote them, by making their partitions.
   * @returns why one could not be moved; undefined when none is left, or a later round continues
   */
  async emptyDefault(): Promise<unknown> {
    let failure: unknown;
    const giveUpAt = this.clock() + PATIENCE_MS;
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

  /** Call it when the database was replaced by an older copy of itself. */
  forget(): void {
    this.#made.clear();
    this.#postponed.clear();
  }

  /** @param at an instant of the day, which may have several partitions @returns why its partition was not made */
  async #ensure(day: number, at: string, attempts: number): Promise<unknown> {
    let failure: unknown = new Error("the database made none");
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
  if (days.size >= MOST_REMEMBERED) days.clear();
  days.add(day);
}

const answered = (states: RegExp) => (error: unknown): boolean => states.test(sqlState(error) ?? "");

/** lock_not_available and deadlock_detected: another session held a lock. */
const isLockConflict = answered(/^(55P03|40P01)$/);
/** query_canceled: it took longer than statement_timeout. */
export const isStatementTimeout = answered(/^57014$/);
/** Either: an immediate next try would block other sessions again. */
export const isLockConflictOrTimeout = (error: unknown): boolean =>
  isLockConflict(error) || isStatementTimeout(error);
