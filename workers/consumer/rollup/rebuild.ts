/**
 * A rebuild counts minutes and latest readings from the rows, slice by slice, from the newest minute down to the floor, while
 * the ingest continues. Rows and changes commit together, so the rows of a snapshot hold exactly its changes.
 */
import type { Session } from "../../_shared/postgres.ts";
import { FLOOR } from "../day_partitions/floor.ts";
import { BETWEEN_CHAINS } from "./chain.ts";

/**
 * To be run before the snapshot is taken: a partition that is dropped or attached after it would read as empty. Dropping and
 * attaching lock one of these two tables.
 */
export const KEEP_PARTITIONS =
  "lock table only public.heartbeats, only public.heartbeats_default in access share mode";

/** A rebuild is due, from the newest minute on. */
export const REBUILD_FROM_NEWEST = "infinity";

/** Within this time of a slice, deletions of passed changes begin; the last one may take as long again. */
const DELETING_MS = 100;
/** In the first deletion; each may have megabytes. */
const FEW_CHANGES = 200;
/** Rounded up: the minute that contains the floor also counts dropped readings. */
const FLOOR_MINUTE = `date_trunc('minute', ${FLOOR} + interval '59.999999 seconds', 'UTC')`;

/** Sets the positions to the ledger of this snapshot, whose rows replace all earlier changes. */
export async function startRebuild(session: Session): Promise<void> {
  // Left of a ledger that was further: the ingest comes to these moves, and could not write its own.
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

/**
 * Replaces the minutes of one slice, which ends before the cursor.
 *
 * @param rows readings in a slice, about; a minute is never split
 * @returns the new cursor; null when the rebuild is done
 */
export async function rebuildMinutes(session: Session, cursor: string, rows: number): Promise<string | null> {
  const { rows: [slice] } = await session.query<{ from: string; isLast: boolean }>(
    // Materialized, or each use would look for the row anew, and plan all partitions for it.
    `with slice as materialized (
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
       from slice`,
    [cursor, rows],
  );
  if (slice === undefined) throw new TypeError("a slice without bounds");
  await session.query(
    "delete from public.heartbeats_1m where minute >= $1::timestamptz and minute < $2::timestamptz",
    [slice.from, cursor],
  );
  await session.query(
    // Latest readings also come from the rows above the floor in its minute.
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
    [slice.from, cursor, slice.isLast],
  );
  const noneIsLeft = await deleteAppliedChanges(session);
  return slice.isLast && noneIsLeft ? null : slice.from;
}

/** Deletes changes that the rebuild passed over: beside a slice no others are left. @returns whether all are deleted */
async function deleteAppliedChanges(session: Session): Promise<boolean> {
  const endAt = performance.now() + DELETING_MS;
  // Twice as many each time: each deletion finds its first change behind what those before it deleted.
  for (let most = FEW_CHANGES;; most *= 2) {
    const { rowCount } = await session.query(
      // Through the index: the table never gets smaller, and may be empty for gigabytes.
      `delete from public.ingest_changes
        where ctid = any(array(select ctid from public.ingest_changes order by ledger_id, move limit $1))`,
      [most],
    );
    if (rowCount !== most) return true;
    if (performance.now() >= endAt) return false;
  }
}
