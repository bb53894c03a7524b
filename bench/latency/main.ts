import { Command } from "commander";
import { sayProgress as say } from "../../stack/output.ts";
import { integer, parseSettings } from "../../workers/_shared/env.ts";
import { runWorker } from "../../workers/_shared/lifecycle.ts";
import { formatTable } from "../../workers/_shared/table.ts";
import { startConsumer } from "../ingest/consumer.ts";
import { enableCommitTimestamps } from "../lab/commit_times.ts";
import { startServers } from "../lab/servers.ts";
import { SHAPE_FLAGS } from "../lab/shapes.ts";
import { summarize } from "../lab/statistics.ts";
import { PEERS } from "../peers/mod.ts";
import type { Load } from "./steady_load.ts";
import { type Contender, type Latency, measureLatency, PARTITIONS } from "./trial.ts";

/** Readings per second, by number of customers. Lowest first, because the disk stays busy after a high rate. */
const RATES: Readonly<Record<number, readonly number[]>> = { 1_000: [2_000, 50_000] };
const OTHER_RATES = [20_000];
const PEER_TABLE = "readings";
/** Without it, Kafka's just-in-time compiler would take a core from the first contender. */
const WARM_UP = { customers: 1_000, rate: 20_000, ms: 20_000 };

interface Trial {
  readonly contender: Contender;
  readonly load: Load;
  readonly runs: Latency[];
}

await runWorker(async ({ args, signal, resources }) => {
  const flags = parseFlags(args);
  const stack = await startServers({ signal, resources });
  await enableCommitTimestamps(stack);
  const consumer: Contender = {
    name: "this consumer",
    table: "heartbeats",
    rollup: true,
    start: (topic, url) => Promise.resolve(startConsumer(stack, topic, url)),
  };
  const contenders = [consumer];
  for (const peer of flags.peers ? Object.values(PEERS) : []) {
    await peer.prepare({ onProgress: say });
    contenders.push({
      name: peer.title,
      table: PEER_TABLE,
      start: (topic, databaseUrl) => {
        const bootstrapServers = stack.kafkaBootstrapServers;
        return peer.start({ bootstrapServers, topic, databaseUrl, table: PEER_TABLE, setting: "latency" });
      },
    });
  }
  await measureLatency(stack, consumer, { ...WARM_UP, signal });
  const trials: Trial[] = [];
  const loads = flags.customers.flatMap((customers) =>
    (RATES[customers] ?? OTHER_RATES).map((rate): Load => ({ customers, rate }))
  );
  for (const load of loads) {
    const atRate = contenders.map((contender): Trial => ({ contender, load, runs: [] }));
    trials.push(...atRate);
    // The contenders alternate, so that a slow minute of the machine does not affect only one of them.
    for (let runNumber = 1; runNumber <= flags.runs; runNumber++) {
      for (const { contender, runs } of atRate) {
        if (signal.aborted) return;
        const took = await measureLatency(stack, contender, { ...load, ms: flags.seconds * 1000, signal });
        say(
          `${runNumber}/${flags.runs} ${contender.name} at ${load.rate}/s: p50 ${took.p50}, p99 ${took.p99} ms`,
        );
        runs.push(took);
      }
    }
  }
  await report(trials, flags);
});

async function report(trials: readonly Trial[], flags: ReturnType<typeof parseFlags>): Promise<void> {
  const table = formatTable(
    [
      "contender",
      "customers",
      "readings/s",
      "p50 ms",
      "p99 ms",
      "spread",
      "max ms",
      "CPU ms/s",
      "lag s",
      "max lag s",
    ].map((
      title,
      index,
    ) => ({
      title,
      align: index === 0 ? "left" : "right",
    })),
    trials.map(({ contender, load, runs }) => {
      const lags = runs.flatMap((run) => run.lags);
      const p99 = summarize(runs.map((run) => run.p99));
      return [
        contender.name,
        load.customers.toLocaleString("en"),
        load.rate.toLocaleString("en"),
        summarize(runs.map((run) => run.p50)).median.toFixed(1),
        p99.median.toFixed(1),
        `±${(p99.spread * 100).toFixed(0)} %`,
        Math.max(...runs.map((run) => run.worst)).toFixed(1),
        summarize(runs.map((run) => run.cpuMs)).median.toFixed(0),
        ...contender.rollup ? [summarize(lags).median.toFixed(2), Math.max(...lags).toFixed(2)] : ["", ""],
      ];
    }),
  );
  const text =
    `Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores; ${PARTITIONS} partitions, ` +
    `${flags.runs} runs of ${flags.seconds} s\np50, p99, max: time from sending a reading to its commit\n` +
    "p50, p99, CPU: median of the runs; spread: of p99; max: of all runs\n" +
    `lag: how far the rollup was behind the stored rows\n\n${table}\n`;
  Deno.stdout.writeSync(new TextEncoder().encode(text));
  await Deno.writeTextFile(new URL("../results/latency.txt", import.meta.url), text);
}

function parseFlags(args: readonly string[]) {
  const command = new Command("bench:latency")
    .description("Measures the time from sending a reading to the commit that stores it.")
    .option("--seconds <n>", "duration of each run", "20")
    .option("--runs <n>", "number of runs of each contender at each rate", "3")
    .option(
      "--customers <list>",
      "numbers of customers, separated by commas; 1000 customers send 2,000 and then 50,000 readings/s, " +
        "any other number sends 20,000 readings/s",
      "1000,100000",
    )
    .option(
      "--peers",
      "also measure Telegraf and a Python consumer; the first run builds them (see bench/peers)",
    )
    .addHelpText("after", "\nExample:\n  deno task bench:latency --seconds 10 --runs 1 --peers")
    .exitOverride();
  const settings = {
    customers: SHAPE_FLAGS.customers,
    seconds: integer({ min: 1, max: 3_600, unit: "seconds" }),
    runs: integer({ min: 1, max: 100, unit: "runs" }),
  };
  const { peers = false, ...values } = command.parse([...args], { from: "user" }).opts();
  return {
    ...parseSettings("bench:latency", settings, values, { label: (name) => `--${name}` }),
    peers: Boolean(peers),
  };
}
