/** What the SQL of all questions shares: instants, limits, scenario customers, and one snapshot for several statements. */
import { parseSettings } from "../../_shared/env.ts";
import { RUNS } from "../../_shared/ledger_sql.ts";
import type { Database, Session } from "../../_shared/postgres.ts";
import { LIMIT_SETTINGS, limitsFrom } from "../../_shared/record/heartbeat.ts";
import type { BpmLimits } from "../view/view.ts";

/** Milliseconds with a fraction: a double is exact to the microsecond. */
export const ms = (instant: string) => `(extract(epoch from ${instant}) * 1000)::float8`;
/** Unlike an addition to an instant, the planner can compute it, and so leaves out day partitions. */
export const instant = (ms: string) => `to_timestamp(${ms}::float8 / 1000)`;

/** Customers of the `scenarios` task: see `createRun` there. */
export const SCENARIO_ID = /^(scenario-|1[0-2]\d{14}$)/;
/** The same in SQL. It has ranges, because the planner can estimate how many ids are in a range. */
export const IS_SCENARIO = `(customer_id >= 'scenario-' and customer_id < 'scenario.'
       or customer_id >= '10' and customer_id < '13' and customer_id ~ '^\\d{16}$')`;

/** The limits of the running consumer that started last. If none runs, the last one to start: it decided which readings are anomalies. */
export const LIMITS = `
  select limits from public.consumer_status order by ${RUNS} desc, started_at desc limit 1`;
const { minBpm: min, maxBpm: max, lowBpm: low, highBpm: high } = limitsFrom(
  parseSettings("monitor", LIMIT_SETTINGS, {}),
  "monitor",
);
export const DEFAULT_LIMITS: BpmLimits = { min, max, low, high };

/** Runs a query, counts it under its name, and translates its error. */
export type Measured = <T>(name: string, query: () => Promise<T>) => Promise<T>;

/** All statements of `work` see the same committed changes. */
export function inSnapshot<T>(database: Database, work: (session: Session) => Promise<T>): Promise<T> {
  return database.transaction(work, "set transaction isolation level repeatable read, read only");
}

const RETRY_MS = 1_000;

/**
 * Asks at most every `everyMs`, for questions that can take long. Meanwhile, the answer is the last one. A caller
 * waits only while there is none.
 *
 * @returns undefined after a failure, until the next try
 */
export function kept<A extends unknown[], T>(
  everyMs: number,
  ask: (...args: A) => Promise<T>,
): (...args: A) => Promise<T | undefined> {
  let known: T | undefined;
  let asking: Promise<void> | undefined;
  let dueAt = 0;
  return async (...args) => {
    if (performance.now() >= dueAt) {
      dueAt = performance.now() + everyMs;
      asking = ask(...args).then((answer) => void (known = answer), () => {
        known = undefined;
        dueAt = performance.now() + Math.min(everyMs, RETRY_MS);
      });
    }
    if (known === undefined) await asking;
    return known;
  };
}

export async function firstRow<T>(
  session: Pick<Session, "query">,
  sql: string,
  values: readonly unknown[] = [],
): Promise<T> {
  return (await session.query(sql, [...values])).rows[0] as T;
}
