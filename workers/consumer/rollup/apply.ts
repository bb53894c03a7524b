/**
 * Folder `rollup`: updates minute aggregates and latest readings from the change feed, or rebuilds them from public.heartbeats
 * when the feed is broken. The rollup locks no row of the ledger and no reading, so the ingest never waits for it.
 *
 * This file: applies change rows.
 */
import type { Session } from "../../_shared/postgres.ts";
import type { ChainPosition } from "./chain.ts";

/**
 * One statement, so that the arrays are read once. Upserts are in key order, so that each page is touched once. max() compares
 * the first elements of arrays first, so it finds the latest reading with its rate and anomaly. All elements of an array have one
 * type, so rate and anomaly are encoded as instants.
 */
const APPLY = `
  with entry as (
    select unnest(customer_ids) as customer_id, unnest(minutes) as minute, unnest(readings) as readings,
           unnest(sums) as sum, unnest(lows) as low, unnest(highs) as high, unnest(low_counts) as low_count,
           unnest(high_counts) as high_count, unnest(last_ts) as last_ts, unnest(last_rates) as last_rate,
           unnest(last_anomalies) as last_anomaly
      from unnest($1::bigint[], $2::bigint[], $3::bigint[]) as advance (ledger_id, after, up_to)
      join public.ingest_changes change
        on change.ledger_id = advance.ledger_id and change.move > advance.after and change.move <= advance.up_to
  ), merged as materialized (
    select customer_id, minute, sum(readings) as readings, sum(sum) as sum, min(low) as low, max(high) as high,
           sum(low_count) as low_count, sum(high_count) as high_count,
           max(array[last_ts, to_timestamp(last_rate),
                     to_timestamp(case last_anomaly when 'low' then 1 when 'high' then 2 end)]) as last
      from entry
     where minute >= $4::timestamptz
     group by customer_id, minute
     order by customer_id, minute
  ), minutes as (
    insert into public.heartbeats_1m as kept
           (customer_id, minute, readings, heart_rate_sum, heart_rate_min, heart_rate_max, low, high)
    select customer_id, minute, readings, sum, low, high, low_count, high_count
      from merged
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
  select customer_id, last[1], extract(epoch from last[2])::smallint,
         case extract(epoch from last[3]) when 1 then 'low' when 2 then 'high' end
    from (select customer_id, last,
                 lead(customer_id) over (order by customer_id, minute) is distinct from customer_id as is_latest
            from merged) merged
   where is_latest
   order by customer_id
      on conflict (customer_id) do update
     set ts = excluded.ts, heart_rate = excluded.heart_rate, anomaly = excluded.anomaly
   where kept.ts < excluded.ts`;

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
  )
  insert into public.rollup_positions (ledger_id, move, next_offset)
  select ledger_id, up_to, next_offset
    from advance
      on conflict (ledger_id) do update
     set move = excluded.move, next_offset = excluded.next_offset`;

/** @param from the first minute to apply, or -infinity */
export async function applyChanges(
  session: Session,
  chains: readonly ChainPosition[],
  from: string,
): Promise<void> {
  await session.query({ name: "rollup_apply", text: APPLY, values: [...ranges(chains), from] });
}

export async function advancePositions(session: Session, chains: readonly ChainPosition[]): Promise<void> {
  const values = [...ranges(chains), chains.map(({ lastOffset }) => lastOffset)];
  await session.query({ name: "rollup_advance", text: ADVANCE, values });
}

/** The moves of each chain that the round applies, as $1 to $3. */
function ranges(chains: readonly ChainPosition[]) {
  return (["ledgerId", "move", "lastMove"] as const).map((column) => chains.map((chain) => chain[column]));
}
