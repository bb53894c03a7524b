/**
 * The floor: all readings before it were dropped, but their minutes stay. A reading below the floor is rejected, whatever
 * RETENTION_DAYS is now, because its minute may already count it.
 */
import type { Database, Row } from "../../_shared/postgres.ts";

/**
 * A transaction that relies on the floor must hold a lock on public.heartbeats, as each does that inserted a reading: dropping
 * a partition takes a lock on that table that waits for all writers.
 */
export const FLOOR = `(select coalesce(max(upper_bound), '-infinity')
                         from public.heartbeat_retention
                        where reopened_at is null)`;

/** Microseconds since the Unix epoch; undefined while nothing was dropped. */
export type Instant = bigint | undefined;

export async function readFloor(query: (sql: string) => Promise<readonly Row[]>): Promise<Instant> {
  const [row] = await query(
    `select (extract(epoch from nullif(${FLOOR}, '-infinity')) * 1000000)::bigint::text as micros`,
  );
  return typeof row?.["micros"] === "string" ? BigInt(row["micros"]) : undefined;
}

/** The floor as last read. It may have moved: the transaction that writes a batch checks it again. */
export class Floor {
  instant: Instant;

  async ask({ query }: Pick<Database, "query">): Promise<void> {
    this.instant = await readFloor(query);
  }
}

/** The floor moved after the batch was planned: nothing was written. */
export class FloorMoved extends Error {
  override readonly name = "FloorMoved";

  constructor(readonly floor: Instant) {
    super("the floor moved while a batch was written");
  }
}
