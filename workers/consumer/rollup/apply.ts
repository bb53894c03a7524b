/**
 * Folder `rollup`: brings minutes and latest readings up from the changes that the ingest commits, and rebuilds them from the
 * rows when a chain of changes is broken. It never moves an offset, never locks a row of the ledger or of the readings, and
 * the ingest never waits for it.
 *
 * This file: the statements of a round that write.
 */
import type { Session } from "../../_shared/postgres.ts";
import type { Advance } from "./chain.ts";

/**
 * Merges the changes by customer and minute, in the order of the keys so that each page is touched once, and adds them to
 * the minutes; then brings up the latest readings. It is one statement, or the arrays would be read twice.
 */
const APPLY = `
  with entry as materialized (
    select entry.*,
           lead(entry.customer_id) over latest is distinct from entry.customer_id as is_latest
      from unnest($1::bigint[], $2::bigint[], $3::bigint[]) as advance (ledger_id, after, up_to)
      join public.ingest_changes change
        on change.ledger_id = advance.ledger_id and change.move > advance.after and change.move <= advance.up_to
     cross join lateral unnest(change.customer_ids, change.minutes, change.readings, change.sums, change.lows,
                               change.highs, change.low_counts, change.high_counts, change.last_ts,
                               change.last_rates, change.last_anomalies)
           as entry (customer_id, minute, readings, sum, low, high, low_count, high_count, last_ts, last_rate, last_anomaly)
     where entry.minute >= $4::timestamptz
    window latest as (order by entry.customer_id, entry.last_ts)
  ), minutes as (
    insert into public.heartbeats_1m as kept
           (customer_id, minute, readings, heart_rate_sum, heart_rate_min, heart_rate_max, low, high)
    select customer_id, minute, sum(readings), sum(sum), min(low), max(high), sum(low_count), sum(high_count)
      from entry
     group by customer_id, minute
     order by customer_id, minute
        on conflict (customer_id, minute) do update
       set readings = kept.readings + excluded.readings,
           heart_rate_sum = kept.heart_rate_sum + excluded.heart_rate_sum,
           heart_rate_min = least(kept.heart_rate_min, excluded.heart_rate_min),
           heart_rate_max = greatest(kept.heart_rate_max, excluded.heart_rate_max),
           low = kept.low + excluded.low,
           high = kept.high + excluded.high
  )
  insert into public.customer_latest as kept (customer_id, ts, heart_rate, anomaly)
  select customer_id, last_ts, last_rate, last_anomaly
    from entry
   where is_latest
   order by customer_id
      on conflict (customer_id) do update
     set ts = excluded.ts, heart_rate = excluded.heart_rate, anomaly = excluded.anomaly
   where kept.ts < excluded.ts`;

/** @param from the first minute that is applied; -infinity for all */
export async function applyChanges(
  session: Session,
  advances: readonly Advance[],
  from: string,
): Promise<void> {
  await session.query({
    name: "rollup_apply",
    text: APPLY,
    values: [
      advances.map(({ ledgerId }) => ledgerId),
      advances.map(({ after }) => after.move),
      advances.map(({ upTo }) => upTo.move),
      from,
    ],
  });
}

/** Deletes what was applied, sets the positions to exactly that, and notes when. */
const ADVANCE = `
  with advance as (
    select *
      from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) as advance (ledger_id, after, up_to, next_offset)
  ), deleted as (
    delete from public.ingest_changes change
     using advance
     where change.ledger_id = advance.ledger_id
       and change.move > advance.after
       and change.move <= advance.up_to
  ), positions as (
    insert into public.rollup_positions (ledger_id, move, next_offset)
    select ledger_id, up_to, next_offset
      from advance
        on conflict (ledger_id) do update
       set move = excluded.move, next_offset = excluded.next_offset
  )
  update public.rollup
     set committed_at = now()`;

export async function advancePositions(session: Session, advances: readonly Advance[]): Promise<void> {
  await session.query({
    name: "rollup_advance",
    text: ADVANCE,
    values: [
      advances.map(({ ledgerId }) => ledgerId),
      advances.map(({ after }) => after.move),
      advances.map(({ upTo }) => upTo.move),
      advances.map(({ upTo }) => upTo.nextOffset),
    ],
  });
}
