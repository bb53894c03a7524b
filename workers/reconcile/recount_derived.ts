/** Minutes and latest readings, counted again from the rows and compared with what is kept. */
import type { Session } from "../_shared/postgres.ts";

/** Differences that are told one by one; of more there is only the number. */
const TOLD = 10;
/** Minutes that are compared at a time: their sums fit into WORK_MEM. */
const MINUTES_AT_A_TIME = 500_000;
const WORK_MEM = "256MB";

/** What is kept and does not equal the rows. */
export interface DerivedDifferences {
  /** Minutes and latest readings. */
  readonly differing: number;
  /** Some of each, a sentence each. */
  readonly examples: readonly string[];
}

/**
 * The rows of dropped days are gone, while their minutes stay, and so may the latest reading of a customer. So only what
 * lies above the floor can be compared: from the first whole minute that nothing was dropped of.
 */
const FLOOR = `
  select coalesce(date_trunc('minute', max(upper_bound) + interval '59.999999 seconds', 'UTC'), '-infinity')::text as floor
    from public.heartbeat_retention
   where reopened_at is null`;

/** The days of the minutes, by time, and how many minutes each has. */
const DAYS = `
  select date_trunc('day', minute, 'UTC')::text as day, count(*)::int as minutes
    from public.heartbeats_1m
   where minute >= $1::timestamptz
   group by date_trunc('day', minute, 'UTC')
   order by date_trunc('day', minute, 'UTC')`;

type Day = { day: string; minutes: number };

/** The minutes of a range, computed from the rows, beside those that are kept. */
const MINUTES = `
  with anew as (
    select customer_id, date_bin('1 minute', ts, '0001-01-01 00:00:00+00') as minute,
           count(*) as readings, sum(heart_rate) as heart_rate_sum,
           min(heart_rate) as heart_rate_min, max(heart_rate) as heart_rate_max,
           count(*) filter (where anomaly = 'low') as low, count(*) filter (where anomaly = 'high') as high
      from public.heartbeats
     where ts >= $1::timestamptz and ts < $2::timestamptz
     group by 1, 2
  ), differing as (
    select customer_id, minute, coalesce(anew.readings, 0) as rows, coalesce(kept.readings, 0) as kept
      from anew
      full join (select * from public.heartbeats_1m where minute >= $1::timestamptz and minute < $2::timestamptz) kept
     using (customer_id, minute)
     where (anew.readings, anew.heart_rate_sum, anew.heart_rate_min, anew.heart_rate_max, anew.low, anew.high)
           is distinct from
           (kept.readings, kept.heart_rate_sum, kept.heart_rate_min, kept.heart_rate_max, kept.low, kept.high)
  )
  select count(*)::int as differing,
         coalesce((array_agg(format('customer %s, minute %s: the rows give %s readings, heartbeats_1m has %s%s',
                                    to_json(customer_id), minute, rows, kept,
                                    case when rows = kept then ' with other heart rates or anomalies' else '' end)
                             order by minute, customer_id))[1:${TOLD}], '{}') as examples
    from differing`;

/** A customer's latest reading lies in that customer's latest minute, so one partition is looked at for each. */
const LATEST = `
  with newest as (
    select customer_id, max(minute) as minute
      from public.heartbeats_1m
     where minute >= $1::timestamptz
     group by customer_id
  ), differing as (
    select coalesce(newest.customer_id, kept.customer_id) as customer_id, found.ts as row_ts, kept.ts as kept_ts
      from newest
      left join lateral (
        select ts, heart_rate, anomaly
          from public.heartbeats one
         where one.customer_id = newest.customer_id
           and one.ts >= newest.minute
           and one.ts < newest.minute + interval '1 minute'
         order by ts desc
         limit 1
      ) found on true
      full join (select * from public.customer_latest where ts >= $1::timestamptz) kept
        on kept.customer_id = newest.customer_id
     where (found.ts, found.heart_rate, found.anomaly) is distinct from (kept.ts, kept.heart_rate, kept.anomaly)
  )
  select count(*)::int as differing,
         coalesce((array_agg(format('customer %s: the latest row is of %s, customer_latest has %s%s', to_json(customer_id),
                                    coalesce(row_ts::text, 'no time'), coalesce(kept_ts::text, 'none'),
                                    case when row_ts = kept_ts then ' with another heart rate or anomaly' else '' end)
                             order by customer_id))[1:${TOLD}], '{}') as examples
    from differing`;

/** @param session in a REPEATABLE READ transaction, so that all queries see one snapshot */
export async function recountDerived(session: Session): Promise<DerivedDifferences> {
  await session.query(`set local work_mem = '${WORK_MEM}'`);
  const floor = (await session.query<{ floor: string }>(FLOOR)).rows[0]?.floor ?? "-infinity";
  const { rows: days } = await session.query<Day>(DAYS, [floor]);
  const examples: string[] = [];
  let differing = 0;
  const count = async (sql: string, values: readonly string[], most: number) => {
    const { rows } = await session.query<DerivedDifferences & Record<string, unknown>>(sql, [...values]);
    differing += rows[0]?.differing ?? 0;
    examples.push(...(rows[0]?.examples ?? []).slice(0, most));
  };
  for (const range of ranges(floor, days)) await count(MINUTES, range, Math.max(0, TOLD - examples.length));
  await count(LATEST, [floor], TOLD);
  return { differing, examples };
}

/** Ranges of whole days that together are all of time from the floor on, each with about as many minutes as fit at a time. */
function ranges(floor: string, days: readonly Day[]): (readonly [from: string, to: string])[] {
  const bounds = [floor];
  let sum = 0;
  for (const { day, minutes } of days) {
    if (sum > 0 && sum + minutes > MINUTES_AT_A_TIME) {
      bounds.push(day);
      sum = 0;
    }
    sum += minutes;
  }
  return bounds.map((from, index) => [from, bounds[index + 1] ?? "infinity"]);
}
