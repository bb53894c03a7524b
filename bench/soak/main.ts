import type { Child } from "../../stack/process/child.ts";
import { sayProgress as say } from "../../stack/output.ts";
import { createPlace, type Place } from "../../lab/place.ts";
import { describeError } from "../../workers/_shared/errors.ts";
import { EXIT, runWorker } from "../../workers/_shared/lifecycle.ts";
import { startConsumer } from "../ingest/consumer.ts";
import { type ProcessSample, sampleProcess } from "../lab/process_sample.ts";
import { startServers } from "../lab/servers.ts";
import { parseSoakFlags, type SoakFlags } from "./flags.ts";
import { SoakLoad } from "./load.ts";
import { report, type Sample } from "./report.ts";

const SAMPLE_EVERY_MS = 1_000;
const STOP_DEADLINE_MS = 15_000;
const REPORT_EVERY_SAMPLES = 30;
/** Counting the rows of some days takes minutes, after an hour at full speed. */
const RECONCILED_WITHIN_MS = 30 * 60_000;

/** Deleted records must free disk space soon. */
const QUICK_DELETION = { "log.retention.check.interval.ms": "5000" };
const SMALL_SEGMENTS = { "segment.bytes": String(32 * 1024 * 1024), "file.delete.delay.ms": "1000" };

await runWorker(async ({ args, signal, resources }) => {
  const flags = parseSoakFlags(args);
  const stack = await startServers({ signal, resources }, { kafkaConfig: QUICK_DELETION });
  const place = resources.use(
    "topic and database",
    await createPlace(stack, "soak", { partitions: flags.partitions, topicConfig: SMALL_SEGMENTS }),
  );
  const load = resources.use("load", new SoakLoad(place, flags.partitions, sayRetry));
  say(`Publishing a backlog of ${flags.backlog} records`);
  await load.fill(flags.backlog, { signal });
  if (signal.aborted) return;

  say(`Consuming for ${flags.minutes} minutes`);
  const consumer = startConsumer(place.stack, place.topic, place.databaseUrl);
  resources.defer("consumer", () => consumer.stop(STOP_DEADLINE_MS));
  const samples = await soak(place, load, consumer, { ...flags, signal });
  if (!consumer.running) {
    throw new Error(`the consumer ended by itself; its last lines:\n${consumer.tail.join("\n")}`);
  }
  await consumer.stop(STOP_DEADLINE_MS);
  const { code } = await consumer.exited;
  if (code !== 0) {
    throw new Error(`the consumer ended with ${code}, expected 0:\n${consumer.tail.join("\n")}`);
  }
  const { peakMb, fewestWaiting } = await report(samples, flags);
  const problems = await unaccounted(place, load);
  if (peakMb > flags.limit) {
    problems.push(`peak memory is ${peakMb.toFixed(0)} MB, expected at most ${flags.limit}`);
  }
  // A consumer that waits for records is not at full speed.
  if (fewestWaiting < flags.backlog / 2) {
    problems.push(
      `at one moment only ${fewestWaiting} records waited, expected ${flags.backlog}: the load is too slow`,
    );
  }
  for (const problem of problems) say(problem);
  return problems.length === 0 ? EXIT.ok : EXIT.failed;
});

function sayRetry(error: unknown): void {
  say(`${describeError(error)}; trying again`);
}

/** Samples once a second until the time is over or the consumer ends. */
async function soak(
  place: Place,
  load: SoakLoad,
  consumer: Child,
  { minutes, backlog, signal }: SoakFlags & { readonly signal: AbortSignal },
): Promise<Sample[]> {
  const over = new AbortController();
  const until = { signal: AbortSignal.any([signal, over.signal]) };
  const samples: Sample[] = [];
  let seen: DatabaseState = { next: new Map(), lagSeconds: 0, changesMb: 0 };
  const stored = () => [...seen.next.values()].reduce((sum, offset) => sum + offset, 0);
  const began = performance.now();
  const sampling = async () => {
    for (let tick = 1; !until.signal.aborted && consumer.running; tick++) {
      const took: ProcessSample | undefined = await sampleProcess(consumer.pid);
      seen = await readDatabase(place).catch((error) => {
        // Until the consumer has created the tables, errors are expected.
        if (seen.next.size > 0) sayRetry(error);
        return seen;
      });
      const seconds = (performance.now() - began) / 1000;
      if (took !== undefined) {
        samples.push({ ...took, ...seen, seconds, stored: stored(), waiting: load.loaded - stored() });
      }
      if (tick % REPORT_EVERY_SAMPLES === 0) sayState(samples);
      if (seconds >= minutes * 60) break;
      const pauseMs = began + tick * SAMPLE_EVERY_MS - performance.now();
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, pauseMs)));
    }
    over.abort();
  };
  try {
    await Promise.all([
      sampling(),
      load.keepFilled(backlog, stored, until),
      load.deleteStored(() => seen.next, until),
    ]);
  } finally {
    over.abort();
  }
  return samples;
}

interface DatabaseState {
  readonly next: ReadonlyMap<number, number>;
  readonly lagSeconds: number;
  readonly changesMb: number;
}

async function readDatabase(place: Place): Promise<DatabaseState> {
  const rows = await place.sql<Record<"kafka_partition" | "next_offset" | "lag_seconds" | "bytes", string>>(
    `select kafka_partition, next_offset, lag_seconds, pg_total_relation_size('public.ingest_changes') as bytes
       from public.rollup_lag
       join public.ingest_offsets using (topic_id, kafka_partition, generation)`,
  );
  return {
    next: new Map(rows.map((row) => [Number(row.kafka_partition), Number(row.next_offset)])),
    lagSeconds: Math.max(0, ...rows.map((row) => Number(row.lag_seconds))),
    changesMb: Math.max(0, ...rows.map(({ bytes }) => Number(bytes))) / 1024 / 1024,
  };
}

function sayState(samples: readonly Sample[]): void {
  const last = samples.at(-1);
  const before = samples.at(-1 - REPORT_EVERY_SAMPLES) ?? samples[0];
  if (last === undefined || before === undefined || last === before) return;
  const rate = Math.round((last.stored - before.stored) / (last.seconds - before.seconds));
  const memory = `${Math.round(last.residentKb / 1024)} MB, peak ${Math.round(last.peakKb / 1024)} MB`;
  say(
    `${
      (last.seconds / 60).toFixed(1)
    } min: ${last.stored} stored, ${rate}/s, ${last.waiting} waiting, ${memory}`,
  );
}

/** Checks that each offset became one row, which is still stored or was dropped with its day. */
async function unaccounted(place: Place, { repeated }: SoakLoad): Promise<string[]> {
  const [ledger] = await place.sql<Record<"read" | "stored" | "duplicates", string>>(
    `select sum(next_offset - first_offset) as read, sum(stored) as stored, sum(duplicates) as duplicates
       from public.ingest_offsets`,
  );
  const [rows] = await place.sql<Record<"kept" | "dropped", string>>(
    `select (select count(*) from public.heartbeats) as kept,
            (select coalesce(sum(dropped_rows), 0) from public.heartbeat_retention) as dropped`,
  );
  const [read, stored, duplicates, kept, dropped] = [
    ledger?.read,
    ledger?.stored,
    ledger?.duplicates,
    rows?.kept,
    rows?.dropped,
  ].map(Number);
  say(`${read} records were read: ${kept} rows are stored, ${dropped} were dropped with their days`);
  const problems: string[] = [];
  if (stored !== (kept ?? NaN) + (dropped ?? NaN)) {
    problems.push(`the ledger counts ${stored} rows, expected the sum of both`);
  }
  if (read !== (stored ?? NaN) + (duplicates ?? NaN) || (repeated === 0 && duplicates !== 0)) {
    problems.push(
      `${stored} of ${read} records were stored and ${duplicates} were duplicates, expected all to be stored`,
    );
  }
  const { code, output } = await place.run("reconcile", [], {}, { withinMs: RECONCILED_WITHIN_MS });
  if (code !== 0) problems.push(`reconcile ended with ${code}, expected 0:\n${output}`);
  return problems;
}
