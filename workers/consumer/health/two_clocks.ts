/**
 * What time it is, by two witnesses: this machine's clock and the database's. Either may jump, by years when a battery
 * is flat, but hardly both alike. What cannot be taken back, that is to reject a reading for its time or to drop old
 * ones, is done only when both agree.
 */
import type { Database } from "../../_shared/postgres.ts";
import type { MonotonicClock } from "./progress.ts";

export class TwoClocks {
  /** What the database's clock says when the monotonic one says 0. */
  #databaseAtZero: number | undefined;

  /** @param own of this machine; milliseconds since the Unix epoch */
  constructor(
    readonly own: () => number = Date.now,
    private readonly monotonic: MonotonicClock = () => performance.now(),
  ) {}

  /** Of the database when it was last asked, gone on since by a clock that never jumps; our own before that. */
  readonly database = (): number => {
    if (this.#databaseAtZero === undefined) return this.own();
    return Math.floor(this.#databaseAtZero + this.monotonic());
  };

  /** How far ours is ahead of the database's; negative when it is behind. */
  get aheadMs(): number {
    return this.own() - this.database();
  }

  /** @throws when the database does not answer */
  async ask(database: Pick<Database, "query">): Promise<void> {
    // As an integer: with a negative extra_float_digits the text of a float is rounded to a few digits, that is to years.
    const [row] = await database.query<{ now_ms: string }>(
      "select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now_ms",
    );
    if (row !== undefined) this.#databaseAtZero = Number(row.now_ms) - this.monotonic();
  }
}
