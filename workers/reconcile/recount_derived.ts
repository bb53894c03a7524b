/** Recounts minute aggregates and latest readings from the rows, and compares them with their tables. */
import type { Session } from "../_shared/postgres.ts";

/** Number of differences of each kind that are described. Others are only counted. */
const MAX_EXAMPLES = 10;
/** Limits a query to aggregates that fit into WORK_MEM. */
const MAX_MINUTES_PER_QUERY = 500_000;
const WORK_MEM = "256MB";

export interface DerivedDifferences {
  readonly differing: number;
  readonly examples: readonly string[];
}

/**
 * The first minute to compare is the first whole minute above the floor, because minute aggregates and latest readings stay when
 * retention drops their rows. During a rebuild, only the minutes from the cursor on are exact.
 */
const FIRST_MINUTE = `
  select greatest(coalesce(date_trunc('minute', max(upper_bound) + interval '59.999999 seconds', 'UTC'), '-infinity'),
                  (select cursor from public.rollup))::text as first
    from public.heartbeat_retention
   where reopened_at is null`;

const DAYS = `
  select date_trunc('day', minute, 'UTC')::text as day, count(*)::int as minutes, bool_or(pending) as pending
    from (select minute, false as pending
            from public.heartbeats_1m
           where minute >= $1::timestamptz
           union all
          select minute, true
            from public.heartbeats_1m_pending
           where minute >= $1::timestamptz) entry
   group by date_trunc('day', minute, 'UTC')
   order by date_trunc('day', minute, 'UTC')`;

type Day = { day: string; minutes: number; pending: boolean };
type Range = readonly [from: string, to: string, pending: boolean];

const MINUTES = `
  with actual as (
    select customer_id, date_bin('1 minute', ts, '0001-01-01 00:00:00+00') as minute,
           count(*) as readings, sum(heart_rate) as heart_rate_sum,
           min(heart_rate) as heart_rate_min, max(heart_rate) as heart_rate_max,
           count(*) filter (where anomaly = 'low') as low, count(*) filter (where anomaly = 'high') as high
      from public.heartbeats
     where ts >= $1::timestamptz and ts < $2::timestamptz
     group by 1, 2
  ), kept as (
    select customer_id, minute, sum(readings) as readings, sum(heart_rate_sum) as heart_rate_sum,
           min(heart_rate_min) as heart_rate_min, max(heart_rate_max) as heart_rate_max,
           sum(low) as low, sum(high) as high
      from (select customer_id, minute, readings, heart_rate_sum, heart_rate_min, heart_rate_max, low, high
              from public.heartbeats_1m
             where minute >= $1::timestamptz and minute < $2::timestamptz
             union all
            select customer_id, minute, readings, heart_rate_sum, heart_rate_min, heart_rate_max, low, high
              from public.heartbeats_1m_pending
             where $3::boolean and minute >= $1::timestamptz and minute < $2::timestamptz) entry
     group by 1, 2
  ), differing as (
    select customer_id, minute, coalesce(actual.readings, 0) as rows, coalesce(kept.readings, 0) as kept
      from actual
      full join kept using (customer_id, minute)
     where (actual.readings, actual.heart_rate_sum, actual.heart_rate_min, actual.heart_rate_max, actual.low,
            actual.high)
           is distinct from
           (kept.readings, kept.heart_rate_sum, kept.heart_rate_min, kept.heart_rate_max, kept.low, kept.high)
  )
  select count(*)::int as differing,
         coalesce((array_agg(format('customer %s, minute %s: the rows give %s readings, heartbeats_1m%s has %s%s',
                                    to_json(customer_id), minute, rows,
                                    case when $3::boolean then ' with pending changes' else '' end, kept,
                                    case when rows = kept then ' with other heart rates or anomalies' else '' end)
                             order by minute, customer_id))[1:${MAX_EXAMPLES}], '{}') as examples
    from differing`;

/** A customer's latest reading lies in the latest minute of that customer, so each lookup reads one day partition. */
const LATEST = `
  with pending as materialized (
    select customer_id, minute, last_ts as ts, last_heart_rate as heart_rate, last_anomaly as anomaly
      from public.heartbeats_1m_pending
     where minute >= $1::timestamptz
  ), newest as (
    select customer_id, max(minute) as minute
      from (select customer_id, minute
              from public.heartbeats_1m
             where minute >= $1::timestamptz
             union all
            select customer_id, minute
              from pending) entry
     group by customer_id
  ), kept as (
    select distinct on (customer_id) customer_id, ts, heart_rate, anomaly
      from (select customer_id, ts, heart_rate, anomaly
              from public.customer_latest
             where ts >= $1::timestamptz
             union all
            select customer_id, ts, heart_rate, anomaly
              from pending) entry
     order by customer_id, ts desc
  ), differing as (
    select coalesce(newest.customer_id, kept.customer_id) as customer_id, found.ts as row_ts, kept.ts as kept_ts
      from newest
      left join lateral (
        select ts, heart_rate, anomaly
          from public.heartbeats heartbeat
         where heartbeat.customer_id = newest.customer_id
           and heartbeat.ts >= newest.minute
           and heartbeat.ts < newest.minute + interval '1 minute'
         order by ts desc
         limit 1
      ) found on true
      full join kept on kept.customer_id = newest.customer_id
     where (found.ts, found.heart_rate, found.anomaly) is distinct from (kept.ts, kept.heart_rate, kept.anomaly)
  )
  select count(*)::int as differing,
         coalesce((array_agg(format('customer %s: the latest row is of %s, customer_latest%s has %s%s',
                                    to_json(customer_id), coalesce(row_ts::text, 'no time'),
                                    case when exists (select from pending) then ' with pending changes' else '' end,
                                    coalesce(kept_ts::text, 'none'),
                                    case when row_ts = kept_ts then ' with another heart rate or anomaly' else '' end)
                             order by customer_id))[1:${MAX_EXAMPLES}], '{}') as examples
    from differing`;

/** @param session in a transaction that is `repeatable read`, so that all queries see one snapshot */
export async function recountDerived(session: Session): Promise<DerivedDifferences> {
  await session.query(`set local work_mem = '${WORK_MEM}'`);
  const first = (await session.query<{ first: string }>(FIRST_MINUTE)).rows[0]?.first ?? "-infinity";
  const { rows: days } = await session.query<Day>(DAYS, [first]);
  const examples: string[] = [];
  let differing = 0;
  const count = async (sql: string, values: readonly unknown[], maxExamples: number) => {
    const { rows } = await session.query<DerivedDifferences & Record<string, unknown>>(sql, [...values]);
    differing += rows[0]?.differing ?? 0;
    examples.push(...(rows[0]?.examples ?? []).slice(0, maxExamples));
  };
  for (const range of ranges(first, days)) {
    await count(MINUTES, range, Math.max(0, MAX_EXAMPLES - examples.length));
  }
  await count(LATEST, [first], MAX_EXAMPLES);
  return { differing, examples };
}

/** Divides all time from `first` on into ranges of whole days. */
function ranges(first: string, days: readonly Day[]): Range[] {
  const result: { from: string; minutes: number; pending: boolean }[] = [{
    from: first,
    minutes: 0,
    pending: false,
  }];
  for (const { day, minutes, pending } of days) {
    let last = result.at(-1);
    if (last === undefined || (last.minutes > 0 && last.minutes + minutes > MAX_MINUTES_PER_QUERY)) {
      result.push(last = { from: day, minutes: 0, pending: false });
    }
    last.minutes += minutes;
    last.pending ||= pending;
  }
  return result.map(({ from, pending }, index) => [from, result[index + 1]?.from ?? "infinity", pending]);
}
