/**
 * The partitions of public.heartbeats: made ahead, and for any day before its readings are written. Never inside the
 * transaction that writes, since making one takes locks; where it cannot be made, the default partition takes the rows.
 */
import { type Database, isServerUnable, sqlState } from "../_shared/postgres.ts";

const DAY_MS = 86_400_000;
/** Today and as many days ahead, so that midnight finds its partition made. */
const DAYS_AHEAD = 2;
/** Unknown days that a batch, or one round of trying again, asks for at most; the default takes the others' rows. */
const DAYS_AT_ONCE = 32;
/** Days that are remembered for later; what comes beyond is asked for again with its next reading. */
const MOST_POSTPONED = 10_000;
/** A lock that cannot be had within the function's lock_timeout is asked for again so many times. */
const ATTEMPTS = 3;

export interface DayPartitionPorts {
  readonly onMade: (partition: string) => void;
  /** It could not be made; its rows go to the default partition and are moved when it can. */
  readonly onFailure: (error: unknown, day: string) => void;
}

export class DayPartitions {
  readonly #database: Database;
  readonly #ports: DayPartitionPorts;
  /** Days, counted since the Unix epoch, that have a partition. */
  readonly #made = new Set<number>();
  /** Days whose partition could not be made: their rows go to the default until a later try moves them. */
  readonly #failed = new Set<number>();

  constructor(database: Database, ports: DayPartitionPorts) {
    this.#database = database;
    this.#ports = ports;
  }

  /**
   * Makes what readings of these days need. Fails for a database that is away, never for a partition.
   *
   * @param days counted since the Unix epoch
   */
  async prepare(days: Iterable<number>): Promise<void> {
    let asked = 0;
    for (const day of days) {
      if (this.#made.has(day) || this.#failed.has(day)) continue;
      // A batch must not wait for thousands, as a producer that means harm could make it: they are made later.
      if (asked++ < DAYS_AT_ONCE) await this.#ensure(day);
      else if (this.#failed.size < MOST_POSTPONED) this.#failed.add(day);
    }
  }

  /** Makes today's and the next days' partitions. @param nowMs milliseconds since the Unix epoch */
  async makeAhead(nowMs: number): Promise<void> {
    const today = Math.floor(nowMs / DAY_MS);
    for (let ahead = 0; ahead <= DAYS_AHEAD; ahead++) {
      if (!this.#made.has(today + ahead)) await this.#ensure(today + ahead);
    }
  }

  /** Tries again what could not be made before; the rows that went to the default meanwhile are moved. */
  async retryFailed(): Promise<void> {
    for (const day of [...this.#failed].slice(0, DAYS_AT_ONCE)) await this.#ensure(day);
  }

  /** What was made may not be there: the database was replaced by an older copy. */
  forget(): void {
    this.#made.clear();
    this.#failed.clear();
  }

  async #ensure(day: number): Promise<void> {
    const at = new Date(day * DAY_MS).toISOString();
    for (let attempt = 1;; attempt++) {
      try {
        const [row] = await this.#database.query<{ made: string | null }>(
          "select public.ensure_heartbeat_partition('public.heartbeats', $1::timestamptz) as made",
          [at],
        );
        if (typeof row?.made === "string") this.#ports.onMade(row.made);
        this.#made.add(day);
        this.#failed.delete(day);
        return;
      } catch (error) {
        const state = sqlState(error);
        if (state === undefined || isServerUnable(error)) throw error;
        if (attempt < ATTEMPTS && LOST_RACES.has(state)) continue;
        if (!this.#failed.has(day)) this.#ports.onFailure(error, at.slice(0, 10));
        // Behind the others, so that the next round begins with those.
        this.#failed.delete(day);
        this.#failed.add(day);
        return;
      }
    }
  }
}

/** lock_not_available and deadlock_detected: somebody else held a lock for a moment. */
const LOST_RACES: ReadonlySet<string> = new Set(["55P03", "40P01"]);
