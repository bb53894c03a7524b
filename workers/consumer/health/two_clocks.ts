/**
 * The time by two clocks: this machine's and the database's. One may jump, by years when a battery is flat, but hardly both.
 * The consumer rejects a reading for its time, and drops old readings, only when both agree: neither can be undone.
 */
import type { Database } from "../../_shared/postgres.ts";
import type { MonotonicClock } from "./health_state.ts";

export class TwoClocks {
  /** The database's time when the monotonic clock was 0. */
  #databaseAtZero: number | undefined;

  /** @param own of this machine; milliseconds since the Unix epoch */
  constructor(
    readonly own: () => number = Date.now,
    private readonly monotonic: MonotonicClock = () => performance.now(),
  ) {}

  /** The database's time: its last answer, continued by the monotonic clock. Before the first answer, this machine's. */
  readonly database = (): number => {
    if (this.#databaseAtZero === undefined) return this.own();
    return Math.floor(this.#databaseAtZero + this.monotonic());
  };

  /** How far this machine's clock is ahead; negative when it is behind. */
  get aheadMs(): number {
    return this.own() - this.database();
  }

  async ask(database: Pick<Database, "query">): Promise<void> {
    const [row] = await database.query<{ ms: number }>(
      "select floor(extract(epoch from clock_timestamp()) * 1000)::float8 as ms",
    );
    if (row !== undefined) this.#databaseAtZero = row.ms - this.monotonic();
  }
}
