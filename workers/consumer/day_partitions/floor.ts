/** Below the floor, minute aggregates stay when their readings are dropped. A reading stored there again would count twice. */
import type { Database, Row } from "../../_shared/postgres.ts";

/** Retention waits for all inserts into public.heartbeats before it raises the floor, so the floor is fixed while one runs. */
export const FLOOR = `(select coalesce(max(upper_bound), '-infinity')
                         from public.heartbeat_retention
                        where reopened_at is null)`;

/** Microseconds since the Unix epoch, or undefined if retention has dropped nothing. */
export type Instant = bigint | undefined;

export async function readFloor(query: (sql: string) => Promise<readonly Row[]>): Promise<Instant> {
  const [row] = await query(
    `select (extract(epoch from nullif(${FLOOR}, '-infinity')) * 1000000)::bigint::text as micros`,
  );
  return typeof row?.["micros"] === "string" ? BigInt(row["micros"]) : undefined;
}

/** The floor as last read. The transaction of each batch checks it again. */
export class Floor {
  instant: Instant;

  async ask({ query }: Pick<Database, "query">): Promise<void> {
    this.instant = await readFloor(query);
  }
}

export class FloorMoved extends Error {
  override readonly name = "FloorMoved";

  constructor(readonly floor: Instant) {
    super("the floor moved while a batch was written");
  }
}
