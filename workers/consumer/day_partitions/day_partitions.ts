/**
 * Folder `day_partitions`: makes the partitions of public.heartbeats and removes what is old. It never reads or writes a
 * record, and what it does never holds up the transactions that do.
 *
 * This file: the partitions: made ahead, and for any day before its readings are written. Never inside the
 * transaction that writes, since making one takes locks; where it cannot be made, the default partition takes the rows.
 */
import { type Database, isServerUnable, sqlState } from "../../_shared/postgres.ts";
import type { MonotonicClock } from "../health/progress.ts";

const DAY_MS = 86_400_000;
/** Today and as many days ahead, so that midnight finds its partition made. */
const DAYS_AHEAD = 2;
/** Unknown days that a batch asks for at most; the default takes the others' rows. */
const DAYS_AT_ONCE = 32;
/** Days that are remembered, of each kind; then all are forgotten and asked for again. */
const MOST_REMEMBERED = 10_000;
/** A lock that cannot be had within the function's lock_timeout is asked for so many times. */
const ATTEMPTS = 3;
/** A batch, or a round, begins to make partitions for so long; a statement that is under way has a timeout of its own. */
const PATIENCE_MS = 5_000;
/** So long after a lock that could not be had no batch asks: each try makes others wait, and all days share the lock. */
const PAUSE_MS = 20_000;

/** `covered` is as it was before: the function within it sees the statement's own snapshot. */
const ENSURE = `
  select public.ensure_heartbeat_partition('public.heartbeats', $1::timestamptz) as name,
         exists (select from public.heartbeat_partitions('public.heartbeats')
                  where $1::timestamptz >= lower_bound and $1::timestamptz < upper_bound) as covered`;

/** A reading of each of some days that sits in the default. In text, since a Date has no microseconds. */
const WITHOUT_PARTITION = `
  select at::text, floor(extract(epoch from at) / 86400)::float8 as day
    from public.heartbeats_without_partition('public.heartbeats') at`;

export class DayPartitions {
  /** Days, counted since the Unix epoch, that have a partition. */
  readonly #made = new Set<number>();
  /** Days that no batch asks for: their rows go to the default, and the rounds find them there. */
  readonly #postponed = new Set<number>();
  #pausedUntil = -Infinity;

  /** @param telemetry hears of a partition that cannot be made, too: its rows wait in the default partition until it can */
  constructor(
    private readonly database: Database,
    private readonly telemetry: {
      readonly tablePartitionMade: (partition: string) => void;
      readonly tablePartitionFailed: (error: unknown, day: string) => void;
    },
    private readonly clock: MonotonicClock = () => performance.now(),
  ) {}

  /**
   * Makes what readings of these days need. Fails for a database that is away, never for a partition.
   * @param onDay hears before each day that is asked for, and after the last
   */
  async prepare(days: Iterable<number>, onDay: () => void): Promise<void> {
    let asked = 0;
    const giveUpAt = this.clock() + PATIENCE_MS;
    for (const day of days) {
      if (this.#made.has(day) || this.#postponed.has(day)) continue;
      const now = this.clock();
      // A batch must not wait for thousands, as a producer that means harm could make it: they are made later.
      if (asked < DAYS_AT_ONCE && now < giveUpAt && now >= this.#pausedUntil) {
        asked++;
        onDay();
        await this.#ensure(day, startOf(day), ATTEMPTS);
      } else remember(this.#postponed, day);
    }
    if (asked > 0) onDay();
  }

  /** Makes today's and the next days' partitions. @returns what kept one from being made; undefined when all are there */
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
   * Makes the partitions of readings that sit in the default, whichever process wrote them, and so moves them.
   * @returns what kept one from being moved; undefined when none is left, or a later round goes on
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
        if (holdsUp(failed)) return failure;
      }
    }
    return failure;
  }

  /** What was made may not be there: the database was replaced by an older copy. */
  forget(): void {
    this.#made.clear();
    this.#postponed.clear();
  }

  /** @param at an instant of the day, which may have several partitions @returns why there is none for it, if so */
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
        if (sqlState(error) === undefined || isServerUnable(error)) throw error;
        failure = error;
        if (!isLostRace(error)) break;
      }
    }
    if (holdsUp(failure)) this.#pausedUntil = this.clock() + PAUSE_MS;
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

/** lock_not_available and deadlock_detected: somebody else held a lock. */
export const isLostRace = answered(/^(55P03|40P01)$/);
/** query_canceled: it took longer than statement_timeout. */
export const isTooSlow = answered(/^57014$/);
/** Either: an immediate next try would block other sessions again. */
export const holdsUp = answered(/^(55P03|40P01|57014)$/);
