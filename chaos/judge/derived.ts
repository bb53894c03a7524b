/** Adds the waiting change rows to minute aggregates and latest readings, and compares the sums with `heartbeats`. */
import { problemAbout, type Query } from "./query.ts";
import { instant } from "./rows.ts";

/** Below the floor, minutes outlive their dropped rows. Below a rebuild's cursor, minutes are not recounted yet. */
const FIRST = `(select greatest(coalesce(max(upper_bound), '-infinity'), (select cursor from public.rollup))
   from public.heartbeat_retention
  where reopened_at is null)`;

const WAITING = `
  select entry.*
    from public.ingest_changes change
    left join public.rollup_positions position using (ledger_id)
   cross join unnest(change.customer_ids, change.minutes, change.readings, change.sums, change.lows, change.highs,
                     change.low_counts, change.high_counts, change.last_ts, change.last_rates, change.last_anomalies)
      as entry (customer_id, minute, readings, sum, lowest, highest, low, high, ts, heart_rate, anomaly)
   where position.move is null or change.move > position.move`;

/** @param range whole minutes [from, to), microseconds since the Unix epoch; default: everything above the floor */
export async function judgeMinutes(
  query: Query,
  range?: { readonly from: number; readonly to: number },
): Promise<string[]> {
  const [from, to] = range === undefined
    ? ["-infinity", "infinity"]
    : [instant(range.from), instant(range.to)];
  const minutes = await query<{ id: string }>(
    `with waiting as (${WAITING}),
     recomputed as (
       select customer_id, date_trunc('minute', ts, 'UTC') as minute, count(*)::int as readings,
              sum(heart_rate) as heart_rate_sum, min(heart_rate) as heart_rate_min, max(heart_rate) as heart_rate_max,
              (count(*) filter (where anomaly = 'low'))::int as low,
              (count(*) filter (where anomaly = 'high'))::int as high
         from public.heartbeats
        where ts >= $1::timestamptz and ts < $2::timestamptz and date_trunc('minute', ts, 'UTC') >= ${FIRST}
        group by 1, 2
     ), derived as (
       select customer_id, minute, sum(readings)::int, sum(heart_rate_sum)::bigint, min(heart_rate_min),
              max(heart_rate_max), sum(low)::int, sum(high)::int
         from (table public.heartbeats_1m
               union all
               select customer_id, minute, readings, sum, lowest, highest, low, high from waiting) part
        where minute >= $1::timestamptz and minute < $2::timestamptz and minute >= ${FIRST}
        group by 1, 2
     )
     select distinct customer_id || ' @ ' || minute as id
       from ((table recomputed except table derived)
             union
             (table derived except table recomputed)) differing
      limit 100`,
    [from, to],
  );
  return problemAbout("minutes that differ from the rows:", minutes.map(({ id }) => id));
}

/** @param since microseconds since the Unix epoch; earlier latest readings are not compared; default: the floor */
export async function judgeLatest(query: Query, since?: number): Promise<string[]> {
  const latest = await query<{ id: string }>(
    `with waiting as (${WAITING}),
     recomputed as (
       select distinct on (customer_id) customer_id, ts, heart_rate, anomaly
         from public.heartbeats
        where ts >= $1::timestamptz and date_trunc('minute', ts, 'UTC') >= ${FIRST}
        order by customer_id, ts desc
     ), derived as (
       select distinct on (customer_id) customer_id, ts, heart_rate, anomaly
         from (table public.customer_latest
               union all
               select customer_id, ts, heart_rate, anomaly from waiting) one
        where ts >= $1::timestamptz and date_trunc('minute', ts, 'UTC') >= ${FIRST}
        order by customer_id, ts desc
     )
     select coalesce(recomputed.customer_id, derived.customer_id) as id
       from recomputed
       full join derived using (customer_id)
      where (recomputed.ts, recomputed.heart_rate, recomputed.anomaly)
            is distinct from (derived.ts, derived.heart_rate, derived.anomaly)
      limit 100`,
    [since === undefined ? "-infinity" : instant(since)],
  );
  return problemAbout("latest readings that differ from the rows:", latest.map(({ id }) => id));
}
