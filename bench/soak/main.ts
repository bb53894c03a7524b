/**
 * What the consumer takes while it works at full speed for a long time with millions of records waiting: memory,
 * descriptors, connections, threads, once a second; and how fast it is. Fails when the peak is above the limit or when
 * something is unaccounted for at the end.
 */
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
const SAY_EVERY_SAMPLES = 30;

/** What was deleted from the log leaves the disk soon. */
const QUICK_DELETION = { "log.retention.check.interval.ms": "5000" };
const SMALL_SEGMENTS = { "segment.bytes": String(32 * 1024 * 1024), "file.delete.delay.ms": "1000" };

await runWorker(async ({ args, signal, resources }) => {
  const flags = parseSoakFlags(args);
  const stack = await startServers({ signal, resources }, { kafkaConfig: QUICK_DELETION });
  const place = resources.use(
    "topic and database",
    await createPlace(stack, "soak", { partitions: flags.partitions, topicConfig: SMALL_SEGMENTS }),
  );
  const load = resources.use("load", new SoakLoad(place, flags.partitions, sayTrouble));
  say(`Publishing a backlog of ${flags.backlog} records`);
  await load.fill(flags.backlog, { signal });
  if (signal.aborted) return;

  say(`Consuming for ${flags.minutes} minutes`);
  const consumer = startConsumer(place.stack, place.topic, place.databaseUrl);
  resources.defer("consumer", () => consumer.stop(STOP_DEADLINE_MS));
  const samples = await soak(place, load, consumer, { ...flags, signal });
  if (!consumer.running) {
    throw new Error(`the consumer ended by itself; its last words:\n${consumer.tail.join("\n")}`);
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
  if (fewestWaiting < flags.backlog / 2) {
    // Who waits for records is neither at full speed nor under the pressure that this is about.
    problems.push(
      `only ${fewestWaiting} records waited at one moment, expected ${flags.backlog}: the load is too slow`,
    );
  }
  for (const problem of problems) say(problem);
  return problems.length === 0 ? EXIT.ok : EXIT.failed;
});

function sayTrouble(error: unknown): void {
  say(`${describeError(error)}; trying again`);
}

/** Samples once a second while the load is refilled, until the time is over or the consumer ended. */
async function soak(
  place: Place,
  load: SoakLoad,
  consumer: Child,
  { minutes, backlog, signal }: SoakFlags & { readonly signal: AbortSignal },
): Promise<Sample[]> {
  const over = new AbortController();
  const until = { signal: AbortSignal.any([signal, over.signal]) };
  const samples: Sample[] = [];
  let seen: Seen = { next: new Map(), lagSeconds: 0, changesMb: 0 };
  const stored = () => [...seen.next.values()].reduce((sum, offset) => sum + offset, 0);
  const began = performance.now();
  const sampling = async () => {
    for (let tick = 1; !until.signal.aborted && consumer.running; tick++) {
      const took: ProcessSample | undefined = await sampleProcess(consumer.pid);
      seen = await look(place).catch((error) => {
        // The tables are not there before the consumer has made them.
        if (seen.next.size > 0) sayTrouble(error);
        return seen;
      });
      const seconds = (performance.now() - began) / 1000;
      if (took !== undefined) {
        samples.push({ ...took, ...seen, seconds, stored: stored(), waiting: load.loaded - stored() });
      }
      if (tick % SAY_EVERY_SAMPLES === 0) sayState(samples);
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
      load.takeAway(() => seen.next, until),
    ]);
  } finally {
    over.abort();
  }
  return samples;
}

interface Seen {
  /** By partition. */
  readonly next: ReadonlyMap<number, number>;
  readonly lagSeconds: number;
  readonly changesMb: number;
}

async function look(place: Place): Promise<Seen> {
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
  const before = samples.at(-1 - SAY_EVERY_SAMPLES) ?? samples[0];
  if (last === undefined || before === undefined || last === before) return;
  const rate = Math.round((last.stored - before.stored) / (last.seconds - before.seconds));
  const memory = `${Math.round(last.residentKb / 1024)} MB, peak ${Math.round(last.peakKb / 1024)} MB`;
  say(
    `${
      (last.seconds / 60).toFixed(1)
    } min: ${last.stored} stored, ${rate}/s, ${last.waiting} waiting, ${memory}`,
  );
}

/** Whether every offset that was read is a row of its own, in the table or dropped with its day. */
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
  say(`${read} records were read: ${kept} rows are there, ${dropped} were dropped with their days`);
  const problems: string[] = [];
  if (stored !== (kept ?? NaN) + (dropped ?? NaN)) {
    problems.push(`the ledger counts ${stored} rows, not as many`);
  }
  // What was published once becomes a row, and nothing else.
  if (read !== (stored ?? NaN) + (duplicates ?? NaN) || (repeated === 0 && duplicates !== 0)) {
    problems.push(
      `of ${read} records ${stored} were stored and ${duplicates} were repeats, expected all stored`,
    );
  }
  const { code, output } = await place.run("reconcile");
  if (code !== 0) problems.push(`reconcile ended with ${code}, expected 0:\n${output}`);
  return problems;
}
