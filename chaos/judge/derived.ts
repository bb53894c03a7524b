/**
 * Folder `judge`: compares what PostgreSQL holds with what was sent, record by record, for chaos and for the tests. It
 * never writes, and shares nothing with `reconcile`.
 *
 * Here: what is kept beside the rows equals what the rows give when it is computed anew.
 */
import { type Query, say } from "./query.ts";
import { instant } from "./rows.ts";

/** The floor: below it minutes outlive their dropped rows, and a customer's latest reading may. */
const FLOOR =
  `(select coalesce(max(upper_bound), '-infinity') from public.heartbeat_retention where reopened_at is null)`;

/**
 * The minute table above the floor, in one snapshot: safe while consumers write.
 *
 * @param range whole minutes [from, to), microseconds since the Unix epoch; everything unless told
 */
export async function judgeMinutes(
  query: Query,
  range?: { readonly from: number; readonly to: number },
): Promise<string[]> {
  const [from, to] = range === undefined
    ? ["-infinity", "infinity"]
    : [instant(range.from), instant(range.to)];
  const minutes = await query<{ id: string }>(
    `select distinct customer_id || ' @ ' || minute as id from (
     with anew as (
       select customer_id, date_trunc('minute', ts, 'UTC') as minute, count(*)::int as readings,
              sum(heart_rate) as heart_rate_sum, min(heart_rate) as heart_rate_min, max(heart_rate) as heart_rate_max,
              (count(*) filter (where anomaly = 'low'))::int as low,
              (count(*) filter (where anomaly = 'high'))::int as high
         from public.heartbeats
        where ts >= $1::timestamptz and ts < $2::timestamptz and date_trunc('minute', ts, 'UTC') >= ${FLOOR}
        group by 1, 2
     ), kept as (
       select * from public.heartbeats_1m
        where minute >= $1::timestamptz and minute < $2::timestamptz and minute >= ${FLOOR}
     )
     (table anew except table kept)
     union
     (table kept except table anew)) differing
     limit 100`,
    [from, to],
  );
  return say("minutes that differ from the rows:", minutes.map(({ id }) => id));
}

/** Each customer's latest reading, where it lies above the floor. */
export async function judgeLatest(query: Query): Promise<string[]> {
  const latest = await query<{ id: string }>(
    `select coalesce(anew.customer_id, kept.customer_id) as id
       from (select distinct on (customer_id) customer_id, ts, heart_rate, anomaly
               from public.heartbeats
              where ts >= ${FLOOR}
              order by customer_id, ts desc) anew
       full join (select * from public.customer_latest where ts >= ${FLOOR}) kept using (customer_id)
      where (anew.ts, anew.heart_rate, anew.anomaly) is distinct from (kept.ts, kept.heart_rate, kept.anomaly)
      limit 100`,
  );
  return say("latest readings that differ from the rows:", latest.map(({ id }) => id));
}
