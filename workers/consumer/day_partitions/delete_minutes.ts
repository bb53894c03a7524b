/** Deletes old minutes, but none whose readings may still be stored or come again. */
import type { Database } from "../../_shared/postgres.ts";
import { FLOOR } from "./floor.ts";
import { OLDEST_KEPT } from "./oldest_kept.ts";

/** Rows of public.heartbeats_1m that are deleted at a time, so that no lock is held for long. */
const MINUTES_AT_A_TIME = 10_000;

/**
 * Deletes whole minutes that are old by both clocks and lie below the floor. Above it a reading of the same minute may
 * follow, and would begin the minute anew.
 *
 * @param now what this machine's clock says
 */
export async function deleteMinutes(
  database: Database,
  { now, days, signal }: { readonly now: string; readonly days: number; readonly signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    const deleted = await database.query(
      `delete from public.heartbeats_1m
        where ctid in (
              select ctid
                from public.heartbeats_1m
               where minute < date_trunc('minute', least(${OLDEST_KEPT}, ${FLOOR}), 'UTC')
               limit ${MINUTES_AT_A_TIME})
    returning 1`,
      [now, days],
    );
    if (deleted.length < MINUTES_AT_A_TIME) return;
  }
}
