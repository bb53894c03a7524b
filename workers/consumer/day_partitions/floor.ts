/**
 * The floor: all readings before it were dropped, but the minutes that were counted from them stay. A reading below it is
 * rejected, whatever RETENTION_DAYS says now, because its minute already counts it.
 */
import type { Database, Row } from "../../_shared/postgres.ts";

/**
 * The floor in SQL, found by one look at an index. A statement that sees it must already hold a lock on public.heartbeats, as
 * each that inserted a reading does: a partition is dropped under a lock on that table which waits for all writers.
 */
export const FLOOR = `(select coalesce(max(upper_bound), '-infinity')
                         from public.heartbeat_retention
                        where reopened_at is null)`;

/** Microseconds since the Unix epoch; undefined while nothing was dropped. */
export type Instant = bigint | undefined;

/** Reads the floor. @param query of a pool or of a session */
export async function readFloor(query: (sql: string) => Promise<readonly Row[]>): Promise<Instant> {
  const [row] = await query(
    `select (extract(epoch from nullif(${FLOOR}, '-infinity')) * 1000000)::bigint::text as micros`,
  );
  return typeof row?.["micros"] === "string" ? BigInt(row["micros"]) : undefined;
}

/** The floor as it is known here. It may have moved since: a batch is checked again in the transaction that writes it. */
export class Floor {
  #instant: Instant;

  readonly now = (): Instant => this.#instant;

  set(instant: Instant): void {
    this.#instant = instant;
  }

  /** @throws when the database does not answer */
  async ask({ query }: Pick<Database, "query">): Promise<void> {
    this.#instant = await readFloor(query);
  }
}

/** A batch was planned with another floor than the database's: nothing of it is written. */
export class FloorMoved extends Error {
  override readonly name = "FloorMoved";

  constructor(readonly floor: Instant) {
    super("the floor moved while a batch was written");
    this.floor = floor;
  }
}
