/**
 * The partitions of public.heartbeats: made ahead, and for any day before its readings are written. Never inside the
 * transaction that writes, since making one takes locks; where it cannot be made, the default partition takes the rows.
 */
import { type Database, isServerUnable, sqlState } from "../_shared/postgres.ts";
import type { MonotonicClock } from "./progress.ts";

const DAY_MS = 86_400_000;
/** Today and as many days ahead, so that midnight finds its partition made. */
const DAYS_AHEAD = 2;
/** Unknown days that a batch, or one round of trying again, asks for at most; the default takes the others' rows. */
const DAYS_AT_ONCE = 32;
/** Days that are remembered for later; what comes beyond is asked for again with its next reading. */
const MOST_POSTPONED = 10_000;
/** A lock that cannot be had within the function's lock_timeout is asked for so many times. */
const ATTEMPTS = 3;
/** A batch begins to make partitions for so long; a statement that is under way has a timeout of its own. */
const PATIENCE_MS = 5_000;
/**
 * For so long after a lock that could not be had, as during a dump of the database, no batch asks: each try makes whoever
 * reads or writes wait behind it, and what holds one day's lock holds those of all.
 */
const PAUSE_MS = 20_000;

export interface DayPartitionPorts {
  readonly onMade: (partition: string) => void;
  /** It could not be made; its rows go to the default partition and are moved when it can. */
  readonly onFailure: (error: unknown, day: string) => void;
}

/** What became of a day. */
type Ensured = "made" | "failed" | "locked";

export class DayPartitions {
  readonly #database: Database;
  readonly #ports: DayPartitionPorts;
  /** Days, counted since the Unix epoch, that have a partition. */
  readonly #made = new Set<number>();
  /** Days whose partition could not be made: their rows go to the default until a later try moves them. */
  readonly #failed = new Set<number>();
  readonly #clock: MonotonicClock;
  #pausedUntil = -Infinity;

  /** @param clock in milliseconds; never jumps */
  constructor(
    database: Database,
    ports: DayPartitionPorts,
    clock: MonotonicClock = () => performance.now(),
  ) {
    this.#database = database;
    this.#ports = ports;
    this.#clock = clock;
  }

  /**
   * Makes what readings of these days need. Fails for a database that is away, never for a partition.
   *
   * @param days counted since the Unix epoch
   * @param onDay hears before each day that is asked for, and after the last
   */
  async prepare(days: Iterable<number>, onDay: () => void): Promise<void> {
    let asked = 0;
    const giveUpAt = this.#clock() + PATIENCE_MS;
    for (const day of days) {
      if (this.#made.has(day) || this.#failed.has(day)) continue;
      const now = this.#clock();
      // A batch must not wait for thousands, as a producer that means harm could make it: they are made later.
      if (asked < DAYS_AT_ONCE && now < giveUpAt && now >= this.#pausedUntil) {
        asked++;
        onDay();
        await this.#ensure(day, ATTEMPTS);
      } else if (this.#failed.size < MOST_POSTPONED) this.#failed.add(day);
    }
    if (asked > 0) onDay();
  }

  /** Makes today's and the next days' partitions. @param nowMs milliseconds since the Unix epoch */
  async makeAhead(nowMs: number): Promise<void> {
    const today = Math.floor(nowMs / DAY_MS);
    for (let ahead = 0; ahead <= DAYS_AHEAD; ahead++) {
      if (this.#made.has(today + ahead)) continue;
      if (await this.#ensure(today + ahead, 1) === "locked") return;
    }
  }

  /** Tries again what could not be made before; the rows that went to the default meanwhile are moved. */
  async retryFailed(): Promise<void> {
    for (const day of [...this.#failed].slice(0, DAYS_AT_ONCE)) {
      if (await this.#ensure(day, 1) === "locked") return;
    }
  }

  /** What was made may not be there: the database was replaced by an older copy. */
  forget(): void {
    this.#made.clear();
    this.#failed.clear();
  }

  async #ensure(day: number, attempts: number): Promise<Ensured> {
    const at = new Date(day * DAY_MS).toISOString();
    for (let attempt = 1;; attempt++) {
      try {
        const [row] = await this.#database.query<{ made: string | null }>(
          "select public.ensure_heartbeat_partition('public.heartbeats', $1::timestamptz) as made",
          [at],
        );
        if (typeof row?.made === "string") {
          this.#pausedUntil = -Infinity;
          this.#ports.onMade(row.made);
        }
        this.#made.add(day);
        this.#failed.delete(day);
        return "made";
      } catch (error) {
        const state = sqlState(error);
        if (state === undefined || isServerUnable(error)) throw error;
        const locked = isLostRace(error);
        if (locked && attempt < attempts) continue;
        if (locked) this.#pausedUntil = this.#clock() + PAUSE_MS;
        if (!this.#failed.has(day)) this.#ports.onFailure(error, at.slice(0, 10));
        // Behind the others, so that the next round begins with those.
        this.#failed.delete(day);
        this.#failed.add(day);
        return locked ? "locked" : "failed";
      }
    }
  }
}

/** lock_not_available and deadlock_detected: somebody else held a lock. */
export function isLostRace(error: unknown): boolean {
  return /^(55P03|40P01)$/.test(sqlState(error) ?? "");
}
