/**
 * A rebuild counts minute aggregates and latest readings from public.heartbeats, in steps from the newest minute down to the
 * floor. Readings and `next_offset` commit together, so each snapshot has exactly the readings before its offsets.
 */
import type { Session } from "../../_shared/postgres.ts";
import { FLOOR } from "../day_partitions/floor.ts";
import { BETWEEN_CHAINS } from "./chain.ts";

/** Runs before the snapshot is taken: a partition that is dropped or attached later would read as empty. */
export const KEEP_PARTITIONS =
  "lock table only public.heartbeats, only public.heartbeats_default in access share mode";

/** The cursor of a rebuild that has not begun. */
export const REBUILD_FROM_NEWEST = "infinity";

/** No deletion begins after this time. The last one may take as long again. */
const DELETING_MS = 100;
/** A small number, because each change row may have megabytes. */
const FIRST_DELETION_ROWS = 200;
/** The floor, rounded up: the minute in which the floor lies also counts readings that were dropped. */
const FLOOR_MINUTE = `date_trunc('minute', ${FLOOR} + interval '59.999999 seconds', 'UTC')`;

/** Moves all positions to the ledger of this snapshot, whose readings replace the earlier changes. */
export async function startRebuild(session: Session): Promise<void> {
  // These change rows come from a newer copy of the ledger. The ingest will write change rows with the same keys again.
  await session.query(
    `delete from public.ingest_changes change
      using ${BETWEEN_CHAINS}
      where (change.ledger_id, change.move) > (id, moves) and change.ledger_id < next`,
  );
  await session.query("delete from public.rollup_positions");
  await session.query(
    `insert into public.rollup_positions (ledger_id, move, next_offset)
     select id, moves, next_offset
       from public.ingest_offsets`,
  );
  await session.query(`delete from public.customer_latest where ts >= ${FLOOR}`);
}

/** Rebuilds minutes before the cursor, about `rows` readings. Returns the new cursor, or null at the end of the rebuild. */
export async function rebuildMinutes(session: Session, cursor: string, rows: number): Promise<string | null> {
  const { rows: [step] } = await session.query<{ from: string; isLast: boolean }>(
    // Materialized: otherwise each use would search the row again and plan all partitions for it.
    `with step as materialized (
       select ${FLOOR_MINUTE} as bottom,
              coalesce(
                (select date_trunc('minute', ts, 'UTC')
                   from public.heartbeats
                  where ts < $1::timestamptz
                  order by ts desc
                 offset $2
                  limit 1),
                '-infinity') as top
     )
     select greatest(bottom, top)::text as from, top <= bottom as "isLast"
       from step`,
    [cursor, rows],
  );
  if (step === undefined) throw new TypeError("a step without bounds");
  await session.query(
    "delete from public.heartbeats_1m where minute >= $1::timestamptz and minute < $2::timestamptz",
    [step.from, cursor],
  );
  await session.query(
    // The last step takes latest readings also from the minute of the floor, which is not rebuilt.
    `with reading as materialized (
       select customer_id, ts, heart_rate, anomaly
         from public.heartbeats
        where ts >= case when $3 then ${FLOOR} else $1::timestamptz end and ts < $2::timestamptz
     ), minutes as (
       insert into public.heartbeats_1m
              (customer_id, minute, readings, heart_rate_sum, heart_rate_min, heart_rate_max, low, high)
       select customer_id, date_trunc('minute', ts, 'UTC'), count(*), sum(heart_rate), min(heart_rate), max(heart_rate),
              count(*) filter (where anomaly = 'low'), count(*) filter (where anomaly = 'high')
         from reading
        where ts >= $1::timestamptz
        group by 1, 2
        order by 1, 2
     )
     insert into public.customer_latest as kept (customer_id, ts, heart_rate, anomaly)
     select distinct on (customer_id) customer_id, ts, heart_rate, anomaly
       from reading
      order by customer_id, ts desc
         on conflict (customer_id) do update
        set ts = excluded.ts, heart_rate = excluded.heart_rate, anomaly = excluded.anomaly
      where kept.ts < excluded.ts`,
    [step.from, cursor, step.isLast],
  );
  const noneIsLeft = await deleteAppliedChanges(session);
  return step.isLast && noneIsLeft ? null : step.from;
}

/** Deletes change rows that the rebuild replaced. All others were applied before this step. Returns whether none is left. */
async function deleteAppliedChanges(session: Session): Promise<boolean> {
  const endAt = performance.now() + DELETING_MS;
  // The number doubles, because each deletion first passes over the rows that the earlier ones deleted.
  for (let most = FIRST_DELETION_ROWS;; most *= 2) {
    const { rowCount } = await session.query(
      // Finds the rows through the index: the table never shrinks, and may have gigabytes of empty pages.
      `delete from public.ingest_changes
        where ctid = any(array(select ctid from public.ingest_changes order by ledger_id, move limit $1))`,
      [most],
    );
    if (rowCount !== most) return true;
    if (performance.now() >= endAt) return false;
  }
}
