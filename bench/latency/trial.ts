import type { Child } from "../../stack/process/child.ts";
import type { Stack } from "../../stack/mod.ts";
import { eventually } from "../../lab/eventually.ts";
import { createPlace } from "../../lab/place.ts";
import { sleep } from "../../workers/_shared/backoff.ts";
import type { Database } from "../../workers/_shared/postgres.ts";
import { assertAllStored, readProgress } from "../ingest/consumer.ts";
import { cpuTime, spent, withDatabase } from "../ingest/lab.ts";
import { openSender } from "../lab/readings_batch.ts";
import { type Load, steadyLoad } from "./steady_load.ts";

export const PARTITIONS = 6;
/** After this time, the contender has joined its group and its just-in-time compiler is done. */
const WARM_UP_MS = 10_000;
const SETTLE_MS = 1_000;
const POLL_EVERY_MS = 250;
const STOP_DEADLINE_MS = 15_000;

export interface Contender {
  readonly name: string;
  readonly table: string;
  readonly rollup?: boolean;
  readonly start: (topic: string, databaseUrl: string) => Promise<Child>;
}

export interface Latency {
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly worst: number;
  /** CPU milliseconds that the contender and PostgreSQL use per second. */
  readonly cpuMs: number;
  /** Samples of the lag of the rollup, in seconds. */
  readonly lags: readonly number[];
}

/** @throws Error unless all readings were stored */
export async function measureLatency(
  stack: Stack,
  { table, rollup = false, start }: Contender,
  { ms, signal, ...load }: Load & { readonly ms: number; readonly signal: AbortSignal },
): Promise<Latency> {
  await using place = await createPlace(stack, `latency_${load.rate}`, { partitions: PARTITIONS });
  return await withDatabase(stack, async (database, url) => {
    const consumer = await start(place.topic, url);
    try {
      await using sender = openSender(stack.kafkaBootstrapServers, place.topic);
      const over = new AbortController();
      const until = AbortSignal.any([signal, over.signal]);
      const sending = steadyLoad(sender, { ...load, partitions: PARTITIONS, signal: until });
      await sleep(WARM_UP_MS, { signal });
      const began = Date.now();
      const before = await cpuTime(stack, consumer.pid);
      const lags: number[] = [];
      while (Date.now() - began < ms) {
        if (rollup) lags.push((await readProgress(database)).lagSeconds);
        await sleep(Math.min(POLL_EVERY_MS, ms), { signal });
      }
      const cpu = spent(before, await cpuTime(stack, consumer.pid));
      const seconds = (Date.now() - began) / 1000;
      over.abort();
      const sent = await sending;
      // The rows are not counted during the run, because a count would delay the last readings.
      await sleep(SETTLE_MS, { signal });
      let rows = 0;
      await eventually(`${sent} readings to be stored`, async () => {
        const [row] = await database.query<{ rows: string }>(`select count(*) as rows from public.${table}`);
        rows = Number(row?.rows);
        return signal.aborted || rows === sent && (!rollup || (await readProgress(database)).behind === 0);
      }, { seen: () => rows });
      if (rollup) await assertAllStored(database, sent);
      return {
        lags,
        ...await latencies(database, table, began, began + ms),
        cpuMs: (cpu.worker + cpu.postgres) / seconds * 1000,
      };
    } finally {
      await consumer.stop(STOP_DEADLINE_MS);
    }
  });
}

/** Covers the readings that were due in [fromMs, toMs). */
async function latencies(
  database: Database,
  table: string,
  fromMs: number,
  toMs: number,
): Promise<Pick<Latency, "p50" | "p99" | "worst">> {
  const [row] = await database.query<Record<"p50" | "p99" | "worst", string>>(
    `select percentile_disc(0.5) within group (order by ms) as p50,
            percentile_disc(0.99) within group (order by ms) as p99,
            max(ms) as worst
       from (
         select extract(epoch from pg_xact_commit_timestamp(xmin) - ts) * 1000 as ms
           from public.${table}
          where ts >= $1 and ts < $2
       ) reading`,
    [fromMs, toMs].map((at) => new Date(at).toISOString()),
  );
  return { p50: Number(row?.p50), p99: Number(row?.p99), worst: Number(row?.worst) };
}
