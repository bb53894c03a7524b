import type { Database, Row, Session } from "../../_shared/postgres.ts";
import { type Attention, type CustomerReading, type Now, SILENT_AFTER_MS, STEP_BPM } from "../view/view.ts";
import { AttentionWatch, readLately } from "./attention.ts";
import { LatestReadings } from "./latest_readings.ts";
import type { PipelineWatch } from "./pipeline.ts";
import { DEFAULT_LIMITS, inSnapshot, instant, IS_SCENARIO, kept, type Measured } from "./snapshot.ts";

const LATELY_EVERY_MS = 10_000;
/**
 * `readLately` counts back 10 min from the last batch. If that batch is old, its rows are too old to show. One minute more, because
 * `since` is the start of a minute.
 */
const LATELY_UP_TO_MS = 11 * 60_000;
/** Counting them reads all rows of customer_latest. */
const COUNT_EVERY_MS = 30_000;
const LONG_SILENT = `
  with silent as (select customer_id, ts from public.customer_latest where ts <= ${
  instant("$1")
} - interval '1 day')
  select (select count(*)::float8 from silent) as customers,
         array(select customer_id from silent order by ${IS_SCENARIO}, ts desc limit 5) as newest`;

export function createNow(database: Database, watch: PipelineWatch, measured: Measured): () => Promise<Now> {
  const latest = new LatestReadings();
  const attention = new AttentionWatch();
  const readKnownLately = kept(LATELY_EVERY_MS, () => measured("lately", () => readLately(database)));
  const longSilent = kept(COUNT_EVERY_MS, async (at: number) => {
    const ask = () => database.query<NonNullable<Now["longSilent"]> & Row>(LONG_SILENT, [at]);
    return (await measured("long_silent", ask))[0];
  });
  const read = (found: readonly Attention[]) => async (session: Session) => {
    const pipeline = await watch.read(session);
    await latest.update(session, pipeline);
    // While the pipeline stands, nobody becomes silent.
    const at = pipeline.unknownSince ?? pipeline.at;
    const customers = customersOf(latest.since(at), at);
    const lately = found.filter(({ since }) => since > at - LATELY_UP_TO_MS);
    return {
      ...pipeline,
      ...customers,
      attention: await attention.update(session, { ...customers, lately }),
    };
  };
  return async () => {
    // Before the transaction, which must not wait for it.
    const lately = await readKnownLately();
    const now = await inSnapshot(database, read(lately ?? [])).catch((error) => {
      latest.forget();
      return watch.failed(error);
    });
    return {
      ...await watch.stateOf(now, {
        omitsPending: latest.omitsPending,
        omitsLately: lately === undefined,
        isFull: latest.isFull,
      }),
      readingsPerSecond: watch.readingsPerSecond,
      delayMs: latest.delayMs(now.at) ?? null,
      lagRecords: now.lag.records,
      rollupLagSeconds: now.rollup.seconds,
      customers: now.counts,
      longSilent: await longSilent(now.unknownSince ?? now.at) ?? null,
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
