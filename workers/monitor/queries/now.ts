import { LAG_RECORDS, LAG_SECONDS, LOG_ENDS, RUNS, UNACCOUNTED } from "../../_shared/ledger_sql.ts";
import type { Database, Session } from "../../_shared/postgres.ts";
import { type BpmLimits, type CustomerReading, type Now, SILENT_AFTER_MS, STEP_BPM } from "../view/view.ts";
import { AttentionList } from "./attention.ts";
import { LatestReadings, type Position } from "./latest_readings.ts";
import { type ConsumerStatus, problemsOf, type Sample } from "./problems.ts";
import { DEFAULT_LIMITS, firstRow, inSnapshot, LIMITS, ms } from "./snapshot.ts";

const STATEMENT_MS = 2_000;
/** Over a longer time, the rate would be slow to change. */
const RATE_OVER_MS = 10_000;
const SAMPLES_KEPT_MS = 30_000;
/** Adding up the table of gaps can take long, so not every poll does it. */
const AUDIT_EVERY_MS = 30_000;

interface Pipeline extends Position {
  readonly stored: number;
  readonly delay: number | null;
  readonly lag: { readonly records: number | null; readonly seconds: number | null };
  readonly consumers: readonly ConsumerStatus[];
  readonly limits: BpmLimits | null;
}

const PIPELINE = `
  select ${ms("now()")} as at, pg_snapshot_xmin(pg_current_snapshot())::xid::text as horizon,
         (select coalesce(sum(stored), 0)::float8 from public.ingest_offsets) as stored,
         (select coalesce(json_object_agg(id, moves), '{}') from public.ingest_offsets) as moves,
         (select percentile_cont(0.5) within group (order by greatest(extract(epoch from last_batch_at - last_event_ts), 0)::float8)
            from public.ingest_offsets where last_batch_at > now() - interval '1 minute') as delay,
         (select json_build_object('records', sum(${LAG_RECORDS}), 'seconds', max(${LAG_SECONDS}))
            from (select distinct on (topic_id, kafka_partition) *
                    from public.ingest_offsets order by topic_id, kafka_partition, id desc) log
            join (${LOG_ENDS}) told using (topic_id, kafka_partition)
           where ${RUNS}) as lag,
         (select json_build_object('cursor', max(cursor), 'records', coalesce(sum(offsets), 0), 'seconds', coalesce(max(lag_seconds), 0))
            from public.rollup left join public.rollup_lag on true) as rollup,
         (select coalesce(json_agg(json_build_object('host', host, 'runs', ${RUNS}, 'reasons', reasons,
                                                     'seenSeconds', extract(epoch from now() - seen_at)) order by seen_at desc), '[]')
            from (select * from public.consumer_status order by seen_at desc limit 100) status) as consumers,
         (${LIMITS}) as limits`;

export function createNow(database: Database): () => Promise<Now> {
  const latest = new LatestReadings();
  const list = new AttentionList();
  const audit = createAudit(database);
  let samples: readonly Sample[] = [];
  const read = async (session: Session) => {
    const pipeline = await firstRow<Pipeline>(session, PIPELINE);
    await latest.update(session, pipeline);
    const customers = customersOf(latest.since(pipeline.at), pipeline.at);
    return { ...pipeline, ...customers, attention: await list.update(session, customers) };
  };
  return async () => {
    const reading = inSnapshot(database, read, STATEMENT_MS).catch((error) => {
      latest.forget();
      throw error;
    });
    const [now, unaccounted] = await Promise.all([reading, audit()]);
    const { at, stored, lag } = now;
    samples = [...samples.filter((old) => old.at > at - SAMPLES_KEPT_MS), { at, stored, lag: lag.records }];
    const { omitsPending, isFull } = latest;
    return {
      at,
      problems: problemsOf({ ...now, samples, omitsPending, isFull, unaccounted }),
      readingsPerSecond: rateOf(samples),
      delaySeconds: now.delay,
      lagRecords: lag.records,
      rollupLagSeconds: now.rollup.seconds,
      customers: now.counts,
      attention: now.attention,
      distribution: now.distribution,
      limits: now.limits ?? DEFAULT_LIMITS,
    };
  };
}

function customersOf(readings: Iterable<CustomerReading>, at: number) {
  const counts = { reporting: 0, low: 0, high: 0, silent: 0 };
  const beyond: CustomerReading[] = [];
  const silent: CustomerReading[] = [];
  const steps = new Map<number, number>();
  for (const reading of readings) {
    const { ts, bpm, anomaly } = reading;
    const isSilent = ts <= at - SILENT_AFTER_MS;
    counts[isSilent ? "silent" : "reporting"]++;
    if (isSilent) {
      silent.push(reading);
    } else {
      const from = bpm - bpm % STEP_BPM;
      steps.set(from, (steps.get(from) ?? 0) + 1);
      if (anomaly === null) continue;
      counts[anomaly]++;
      beyond.push(reading);
    }
  }
  const distribution = [...steps].sort(([a], [b]) => a - b).map(([from, customers]) => ({ from, customers }));
  return { counts, beyond, silent, distribution };
}

function rateOf(samples: readonly Sample[]): number | null {
  const newest = samples.at(-1);
  const oldest = samples.find(({ at }) => newest !== undefined && at >= newest.at - RATE_OVER_MS);
  if (newest === undefined || oldest === undefined || oldest.at === newest.at) return null;
  return Math.max(0, newest.stored - oldest.stored) / (newest.at - oldest.at) * 1_000;
}

/** @returns the number of unaccounted offsets as of the last check, or undefined if none succeeded */
function createAudit(database: Database): () => Promise<number | undefined> {
  let known: number | undefined;
  let dueAt = 0;
  const ask = async () => {
    try {
      const [row] = await database.query<{ offsets: number }>(`select (${UNACCOUNTED})::float8 as offsets`);
      known = row?.offsets;
    } catch {
      // The last result stays. Without one, the page says so, and it must also be shown if only this query takes too long.
    }
  };
  return async () => {
    if (performance.now() < dueAt) return known;
    dueAt = performance.now() + AUDIT_EVERY_MS;
    const asking = ask();
    // Only the first result is worth waiting for.
    if (known === undefined) await asking;
    return known;
  };
}
