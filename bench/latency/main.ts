/**
 * How long a reading takes from the client that sends it to the commit that shows it to everybody: by the server's own
 * record of when each transaction committed, so that no table needs a column for it.
 */
import { Command } from "commander";
import type { Child } from "../../stack/child.ts";
import { type Stack, startStack } from "../../stack/mod.ts";
import { createPlace } from "../../tests/support/place.ts";
import { sleep } from "../../workers/_shared/backoff.ts";
import { integer, parseSettings } from "../../workers/_shared/env.ts";
import { runWorker } from "../../workers/_shared/lifecycle.ts";
import type { Database } from "../../workers/_shared/postgres.ts";
import { formatTable } from "../../workers/_shared/table.ts";
import { startConsumer } from "../ingest/consumer.ts";
import { cpuTime, spent, withDatabase } from "../ingest/lab.ts";
import { RawProducer } from "../lab/raw_producer.ts";
import { PEERS } from "../peers/mod.ts";
import { steadyLoad } from "./steady_load.ts";

const PARTITIONS = 6;
const RATES = [2_000, 50_000];
const PEER_TABLE = "readings";
/** Until the just-in-time compilers of all programs have done their work. */
const WARM_UP_MS = 15_000;
const STORED_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 15_000;

interface Contender {
  readonly name: string;
  /** Where it stores, in the schema public. */
  readonly table: string;
  readonly start: (topic: string, databaseUrl: string) => Promise<Child>;
}

interface Latency {
  readonly readings: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly worst: number;
  /** Of the contender and of PostgreSQL, milliseconds of processor time a second. */
  readonly cpuMs: number;
}

await runWorker(async ({ args, signal, resources }) => {
  const flags = parseFlags(args);
  const home = await Deno.makeTempDir({ prefix: "heartbeat-bench-" });
  const stack = await startStack({ home, signal });
  resources.defer("servers", () => stack.destroy());
  await keepCommitTimes(stack);
  const contenders: Contender[] = [
    {
      name: "this consumer",
      table: "heartbeats",
      start: (topic, url) => Promise.resolve(startConsumer(stack, topic, url)),
    },
  ];
  for (const peer of flags.peers ? Object.values(PEERS) : []) {
    await peer.prepare();
    contenders.push({
      name: peer.title,
      table: PEER_TABLE,
      start: (topic, databaseUrl) => {
        const bootstrapServers = stack.kafkaBootstrapServers;
        return peer.start({ bootstrapServers, topic, databaseUrl, table: PEER_TABLE, setting: "latency" });
      },
    });
  }
  const rows: string[][] = [];
  for (const [rate, contender] of RATES.flatMap((rate) => contenders.map((one) => [rate, one] as const))) {
    const took = await measure(stack, contender, rate, flags.seconds * 1000, signal);
    rows.push([
      contender.name,
      rate.toLocaleString("en"),
      ...[took.p50, took.p99, took.worst].map((ms) => ms.toFixed(1)),
      took.cpuMs.toFixed(0),
    ]);
  }
  const table = formatTable(
    ["contender", "readings/s", "p50 ms", "p99 ms", "worst ms", "CPU ms/s"].map((title, index) => ({
      title,
      align: index === 0 ? "left" : "right",
    })),
    rows,
  );
  const text = `Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores; from send to commit, ` +
    `${flags.seconds} s each, ${PARTITIONS} partitions\n\n${table}\n`;
  Deno.stdout.writeSync(new TextEncoder().encode(text));
  await Deno.writeTextFile(new URL("../results/latency.txt", import.meta.url), text);
});

function parseFlags(args: readonly string[]) {
  const command = new Command("bench:latency")
    .description("Measures how long a reading takes from the sender to its commit.")
    .option("--seconds <n>", "to measure at each rate", "60")
    .option("--peers", "beside Telegraf and a consumer in Python, built the first time (bench/peers)")
    .addHelpText("after", "\nExample:\n  deno task bench:latency --seconds 20 --peers")
    .exitOverride();
  const settings = { seconds: integer({ min: 1, max: 3_600, unit: "seconds" }) };
  const { peers = false, ...values } = command.parse([...args], { from: "user" }).opts();
  return {
    ...parseSettings("bench:latency", settings, values, { label: (name) => `--${name}` }),
    peers: Boolean(peers),
  };
}

async function keepCommitTimes(stack: Stack): Promise<void> {
  const place = await createPlace(stack, "settings", { partitions: 0 });
  await place.asSuperuser("alter system set track_commit_timestamp = on");
  await place[Symbol.asyncDispose]();
  await stack.postgres.stop();
  await stack.postgres.start();
}

async function measure(
  stack: Stack,
  { table, start }: Contender,
  rate: number,
  ms: number,
  signal: AbortSignal,
): Promise<Latency> {
  await using place = await createPlace(stack, `latency_${rate}`, { partitions: PARTITIONS });
  return await withDatabase(stack, async (database, url) => {
    const consumer = await start(place.topic, url);
    try {
      await using producer = new RawProducer(stack.kafkaBootstrapServers, place.topic);
      const over = new AbortController();
      const until = AbortSignal.any([signal, over.signal]);
      const load = steadyLoad(producer, { rate, partitions: PARTITIONS, signal: until });
      await sleep(WARM_UP_MS, { signal });
      const began = Date.now();
      const before = await cpuTime(stack, consumer.pid);
      await sleep(ms, { signal });
      const cpu = spent(before, await cpuTime(stack, consumer.pid));
      const seconds = (Date.now() - began) / 1000;
      over.abort();
      await allStored(database, table, await load, signal);
      return {
        ...await latencies(database, table, began, began + ms),
        cpuMs: (cpu.worker + cpu.postgres) / seconds * 1000,
      };
    } finally {
      await consumer.stop(STOP_DEADLINE_MS);
    }
  });
}

async function allStored(
  database: Database,
  table: string,
  sent: number,
  signal: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + STORED_DEADLINE_MS;
  for (;;) {
    const [row] = await database.query<{ rows: string }>(`select count(*) as rows from public.${table}`);
    if (Number(row?.rows) === sent) return;
    if (performance.now() > deadline || signal.aborted) {
      throw new Error(`${row?.rows} of ${sent} readings were stored`);
    }
    await sleep(500, { signal });
  }
}

/** Of the readings that were sent in [fromMs, toMs). */
async function latencies(
  database: Database,
  table: string,
  fromMs: number,
  toMs: number,
): Promise<Omit<Latency, "cpuMs">> {
  const [row] = await database.query<Record<"readings" | "p50" | "p99" | "worst", string>>(
    `select count(*) as readings,
            percentile_disc(0.5) within group (order by ms) as p50,
            percentile_disc(0.99) within group (order by ms) as p99,
            max(ms) as worst
       from (
         select extract(epoch from pg_xact_commit_timestamp(xmin) - ts) * 1000 as ms
           from public.${table}
          where ts >= $1 and ts < $2
       ) reading`,
    [fromMs, toMs].map((at) => new Date(at).toISOString()),
  );
  return {
    readings: Number(row?.readings),
    p50: Number(row?.p50),
    p99: Number(row?.p99),
    worst: Number(row?.worst),
  };
}
