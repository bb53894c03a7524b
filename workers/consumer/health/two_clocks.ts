/**
 * What time it is, by two witnesses: this machine's clock and the database's. Either may jump, by years when a battery
 * is flat, but hardly both alike. What cannot be taken back, that is to reject a reading for its time or to drop old
 * ones, is done only when both agree.
 */
import { insist } from "../../_shared/backoff.ts";
import type { PipelineError } from "../../_shared/errors.ts";
import { type Database, databaseFailure } from "../../_shared/postgres.ts";

export class TwoClocks {
  /** Of this machine; milliseconds since the Unix epoch. */
  readonly own: () => number;
  readonly #monotonic: () => number;
  /** What the database's clock says when the monotonic one says 0. */
  #databaseAtZero: number | undefined;

  constructor(own: () => number = Date.now, monotonic: () => number = () => performance.now()) {
    this.own = own;
    this.#monotonic = monotonic;
  }

  /** Of the database when it was last asked, gone on since by a clock that never jumps; our own before that. */
  readonly database = (): number => {
    if (this.#databaseAtZero === undefined) return this.own();
    return Math.floor(this.#databaseAtZero + this.#monotonic());
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
    if (row !== undefined) this.#databaseAtZero = Number(row.now_ms) - this.#monotonic();
  }
}

/** Both clocks, before the first record is judged; for as long as the database takes to answer. */
export async function startClocks(
  database: Database,
  onFailure: (failure: PipelineError) => void,
  { signal }: { signal: AbortSignal },
): Promise<TwoClocks> {
  const clocks = new TwoClocks();
  const failed = (error: unknown) => onFailure(databaseFailure("ask for the time", database.target, error));
  await insist(() => clocks.ask(database), failed, { signal });
  return clocks;
}
