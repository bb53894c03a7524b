import { stringify } from "csv-stringify/sync";
import type { Database, Row } from "../../_shared/postgres.ts";
import type { CustomerReading, Range, Series } from "../view/view.ts";
import { PENDING_UP_TO } from "./latest_readings.ts";
import { instant, IS_SCENARIO, ms } from "./snapshot.ts";

const RAW_UP_TO_MS = 7_200_000;
const MAX_POINTS = 50_000;
/** Maximum of readings of one customer in one answer. */
export const TAIL_ROWS = 1_000;
const MAX_FOUND = 20;
const CSV_PAGE_ROWS = 10_000;

const RAW = `
  select ${ms("ts")} as ts, heart_rate as bpm, anomaly
    from public.heartbeats
   where customer_id = $1 and ts >= ${instant("$2")} and ts < ${instant("$3")}
   order by ts
   limit ${MAX_POINTS + 1}`;

const minutesOf = (table: string) => `
          select minute, readings, heart_rate_sum, heart_rate_min, heart_rate_max, low, high
            from ${table}
           where customer_id = $1 and minute >= date_trunc('minute', ${instant("$2")}, 'UTC') and minute < ${
  instant("$3")
}`;

const MINUTES = `
  select ${ms("minute")} as ts, min(heart_rate_min) as low, max(heart_rate_max) as high,
         round(sum(heart_rate_sum)::numeric / sum(readings), 1)::float8 as mean,
         sum(readings)::float8 as readings, sum(part.low)::float8 as lows, sum(part.high)::float8 as highs
    from (${minutesOf("public.heartbeats_1m")}
           union all
          ${
  minutesOf("public.heartbeats_1m_pending")
} and (select sum(offsets) from public.rollup_lag) <= ${PENDING_UP_TO}) part
   group by minute
   order by minute
   limit ${MAX_POINTS + 1}`;

const RAW_COLUMNS = ["ts", "bpm", "anomaly"] as const;
const MINUTE_COLUMNS = ["ts", "low", "mean", "high", "readings", "lows", "highs"] as const;

export async function readSeries(database: Database, id: string, { from, to }: Range): Promise<Series> {
  const isRaw = to - from <= RAW_UP_TO_MS;
  const rows = await database.query(isRaw ? RAW : MINUTES, [id, from, to]);
  const shown = rows.slice(0, MAX_POINTS);
  const columns = (isRaw ? RAW_COLUMNS : MINUTE_COLUMNS).map((name) => [name, shown.map((row) => row[name])]);
  const kind = isRaw ? "raw" : "minute";
  return { kind, ...Object.fromEntries(columns), truncated: rows.length > shown.length } as Series;
}

const TAIL = `
  select follow.id, ${ms("ts")} as ts, heart_rate as bpm, anomaly
    from unnest($1::text[], $2::float8[]) as follow (id, after)
   cross join lateral (
     select ts, heart_rate, anomaly
       from public.heartbeats
      where customer_id = follow.id
        and ts > ${instant("follow.after")}
        -- The same for all customers, so that the planner leaves out day partitions.
        and ts > ${instant("$3")}
      order by ts
      limit ${TAIL_ROWS}) reading
   order by ts`;

export interface Follow {
  readonly id: string;
  readonly after: number;
}

export async function readTail(database: Database, follow: readonly Follow[]): Promise<CustomerReading[]> {
  if (follow.length === 0) return [];
  const after = follow.map(({ after }) => after);
  const values = [follow.map(({ id }) => id), after, Math.min(...after)];
  return await database.query<CustomerReading & Row>(TAIL, values);
}

const byPrefix = (condition: string) => `
  (select customer_id, ${IS_SCENARIO} as scenario
     from public.customer_latest
    where customer_id like $1 and ${condition}
    order by customer_id
    limit ${MAX_FOUND})`;

/** Customers of the `scenarios` task come last. */
const SEARCH = `
  select customer_id
    from (${byPrefix(`not ${IS_SCENARIO}`)} union all ${byPrefix(IS_SCENARIO)}) found
   order by scenario, customer_id
   limit ${MAX_FOUND}`;

export async function search(database: Database, text: string): Promise<string[]> {
  const pattern = `${text.replace(/[\\%_]/g, "\\$&")}%`;
  const rows = await database.query<{ customer_id: string }>(SEARCH, [pattern]);
  return rows.map(({ customer_id }) => customer_id);
}

const CSV_PAGE = `
  select customer_id, to_char(ts, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as ts, heart_rate, anomaly
    from public.heartbeats
   where customer_id = $1 and ts >= ${instant("$2")} and ts < ${instant("$3")} and ts > $4::timestamptz
   order by ts
   limit ${CSV_PAGE_ROWS}`;

/** Each page is a query of its own, so that a slow viewer keeps no transaction open, and a file may have any length. */
export async function* readCsv(database: Database, id: string, { from, to }: Range): AsyncGenerator<string> {
  // Sent with the first page, so that a failure of its query comes before the answer has begun.
  let header = "customer_id,ts,heart_rate,anomaly\n";
  let after = "-infinity";
  for (;;) {
    const rows = await database.query<{ ts: string }>(CSV_PAGE, [id, from, to, after]);
    // A spreadsheet takes a text that begins with = for a formula.
    yield header + stringify(rows, { escape_formulas: true });
    header = "";
    after = rows.at(-1)?.ts ?? after;
    if (rows.length < CSV_PAGE_ROWS) return;
  }
}
