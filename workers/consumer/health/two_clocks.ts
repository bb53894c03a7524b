import type { Database } from "../../_shared/postgres.ts";
import type { MonotonicClock } from "./health_state.ts";

/**
 * The time by this machine's clock and by the database's. A clock can jump, by years when its battery is empty. A reading that is
 * rejected for its time, or deleted for its age, is lost. So the consumer does this only if both clocks call for it.
 */
export class TwoClocks {
  /** The database's time when the monotonic clock was 0. */
  #databaseAtZero: number | undefined;

  /** @param own this machine's clock, in milliseconds since the Unix epoch */
  constructor(
    readonly own: () => number = Date.now,
    private readonly monotonic: MonotonicClock = () => performance.now(),
  ) {}

  /** The database's last answer plus the time since then. Before the first answer, this is the time of this machine. */
  readonly database = (): number => {
    if (this.#databaseAtZero === undefined) return this.own();
    return Math.floor(this.#databaseAtZero + this.monotonic());
  };

  /** How far this machine's clock is ahead of the database's; negative when it is behind. */
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
