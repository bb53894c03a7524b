import { createPlace, type Place } from "../../lab/place.ts";
import { sayProgress as say } from "../../stack/output.ts";
import type { Stack } from "../../stack/mod.ts";
import { sleep } from "../../workers/_shared/backoff.ts";
import { cpuSeconds } from "../lab/cpu_time.ts";
import { openSender } from "../lab/readings_batch.ts";
import { type Load, steadyLoad } from "../latency/steady_load.ts";
import { PARTITIONS } from "../latency/trial.ts";
import { Audience } from "./audience.ts";
import { snapshotDelays } from "./event_stream.ts";
import type { Sight } from "./viewers.ts";

/** After this time, the just-in-time compilers are done. */
const WARM_UP_MS = 15_000;
/** The last commits reach the screens in this time. */
const SETTLE_MS = 10_000;

export interface SteadyLoad extends Load {
  readonly viewers: number;
  readonly ms: number;
  readonly signal: AbortSignal;
}

export interface SteadyRun {
  /** Processor time of the monitor's process. */
  readonly cpuMsPerSecond: number;
  readonly peakMb: number;
  readonly queriesPerSecond: number;
  readonly postgresCpuMsPerSecond: number;
  /** Sent to a viewer, on average. */
  readonly kilobytesPerMinute: number;
  readonly dropped: number;
  /** Milliseconds from commits to the screens of the page Now, and of customers. */
  readonly nowMs: readonly number[];
  readonly customerMs: readonly number[];
}

/** Viewers watch while readings come at a steady rate. */
export async function steadyRun(
  stack: Stack,
  { viewers, ms, signal, ...load }: SteadyLoad,
): Promise<SteadyRun> {
  await using place = await createPlace(stack, "monitor", { partitions: PARTITIONS });
  await using audience = await Audience.start(place, viewers);
  const openedAt = Date.now();
  const consumer = place.consumer();
  await consumer.untilReady();
  await using sender = openSender(stack.kafkaBootstrapServers, place.topic);
  const over = new AbortController();
  const until = AbortSignal.any([signal, over.signal]);
  const sending = steadyLoad(sender, { ...load, partitions: PARTITIONS, signal: until });
  await sleep(WARM_UP_MS, { signal });
  const [before, postgresBefore] = [await audience.sample(), await cpuSeconds(stack.postgres.pid)];
  await sleep(ms, { signal });
  const [after, postgresAfter] = [await audience.sample(), await cpuSeconds(stack.postgres.pid)];
  const [fromMs, endMs] = [before.atMs, after.atMs];
  await sleep(SETTLE_MS, { signal });
  over.abort();
  say(`${await sending} readings sent`);
  const openMs = Date.now() - openedAt;
  const sights = await audience.leave();
  const seconds = (endMs - fromMs) / 1000;
  return {
    cpuMsPerSecond: (after.cpuSeconds - before.cpuSeconds) * 1000 / seconds,
    postgresCpuMsPerSecond: (postgresAfter - postgresBefore) * 1000 / seconds,
    peakMb: after.residentMb,
    queriesPerSecond: (after.queries - before.queries) / seconds,
    kilobytesPerMinute: sights.reduce((sum, { bytes }) => sum + bytes, 0) / viewers / 1000 /
      (openMs / 60_000),
    dropped: sights.filter(({ dropped }) => dropped).length,
    nowMs: sights.filter(({ path }) => path === "/live/now")
      .flatMap(({ ticks }) => snapshotDelays(ticks, fromMs, endMs)),
    customerMs: customerDelays(sights, await commitsOf(place, sights, fromMs, endMs)),
  };
}

const customerOf = (path: string) => new URL(path, "http://monitor").searchParams.get("id");

/** By customer and instant of the measurement: when the reading was committed. */
async function commitsOf(
  place: Place,
  sights: readonly Sight[],
  fromMs: number,
  endMs: number,
): Promise<Map<string, number>> {
  const customers = [...new Set(sights.map(({ path }) => customerOf(path)).filter((id) => id !== null))];
  const rows = await place.sql<{ customer_id: string; ts: Date; committed: number }>(
    `select customer_id, ts, extract(epoch from pg_xact_commit_timestamp(xmin))::float8 * 1000 as committed
       from public.heartbeats
      where customer_id = any($1) and ts >= $2 and ts < $3`,
    [customers, new Date(fromMs), new Date(endMs)],
  );
  return new Map(rows.map(({ customer_id, ts, committed }) => [`${customer_id} ${ts.getTime()}`, committed]));
}

/** One for each viewer and reading. A reading that a viewer never saw took for ever. */
function customerDelays(sights: readonly Sight[], commits: ReadonlyMap<string, number>): number[] {
  return sights.flatMap(({ path, readings }) => {
    const customer = customerOf(path);
    const seen = new Map(readings.toReversed().map(([at, seenAt]) => [`${customer} ${at}`, seenAt]));
    return [...commits].filter(([reading]) => reading.startsWith(`${customer} `))
      .map(([reading, committed]) => (seen.get(reading) ?? Infinity) - committed);
  });
}
