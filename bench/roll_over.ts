import { Command } from "commander";
import { createPlace, type Place } from "../lab/place.ts";
import { WorkerProcess } from "../lab/worker_process.ts";
import { runWorker } from "../workers/_shared/lifecycle.ts";
import { formatTable } from "../workers/_shared/table.ts";
import { startServers } from "./lab/servers.ts";

const CUSTOMERS = 1_000;
const DAYS = 10;
const ROWS_IN_DEFAULT = 500_000;
const DAY_MS = 86_400_000;
const POLL_EVERY_MS = 5;

await runWorker(async ({ args, resources, signal }) => {
  new Command("bench:roll-over")
    .description(
      "Measures how long the ingest stalls while day partitions are created under full load.",
    )
    .addHelpText(
      "after",
      "\nStarts its own Kafka and PostgreSQL. Writes bench/results/roll_over.txt.\n\nExample: deno task bench:roll-over",
    )
    .exitOverride()
    .parse([...args], { from: "user" });
  const stack = await startServers({ signal, resources });
  const place = resources.use("topic and database", await createPlace(stack, "roll over", { partitions: 6 }));
  const migrated = place.consumer({ args: ["--migrate-only"] });
  if (await migrated.exitCode() !== 0) throw new Error(migrated.tail());

  // These rows are older than the backlog. They go to the default partition, as if no day partition could be created.
  const old = new Date(Date.now() - (DAYS + 20) * DAY_MS).toISOString();
  await place.sql(
    `insert into public.heartbeats
     select 'early-' || n % 1000, date_trunc('day', $1::timestamptz, 'UTC') + n * interval '0.1 seconds', 70, null
       from generate_series(1, ${ROWS_IN_DEFAULT}) n`,
    [old],
  );
  const interval = `${DAYS * 86_400 / 1_000}s`;
  await using producer = WorkerProcess.start("producer", {
    env: { KAFKA_BOOTSTRAP_SERVERS: stack.kafkaBootstrapServers, KAFKA_TOPIC: place.topic },
    args: [
      "--customers",
      String(CUSTOMERS),
      "--from",
      `${DAYS}d`,
      "--interval",
      interval,
      "--seed",
      "1",
    ],
  });
  if (await producer.exitCode({ withinMs: 600_000 }) !== 0) throw new Error(producer.tail());

  const consumer = place.consumer();
  const watching = watchStalls(place);
  await consumer.untilLogged("partition.opened");
  const moved = await moveDefault(place);
  await place.untilCaughtUp({ withinMs: 600_000 });
  const stalls = await watching.end();
  await consumer.stop();
  const made = consumer.events("table.partition_made").length;
  await report([
    ["day partitions created during ingest", String(made)],
    ["records", String(stalls.stored)],
    ["records per second", String(Math.round(stalls.stored / stalls.seconds))],
    ["longest time without a commit, ms", stalls.longestMs.toFixed(0)],
    [`moving ${ROWS_IN_DEFAULT} rows out of the default partition, ms`, moved.toFixed(0)],
  ]);
});

async function report(rows: string[][]): Promise<void> {
  const versions = `Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores`;
  const text = `${versions}\n\n${
    formatTable([{ title: "what" }, { title: "figure", align: "right" }], rows)
  }\n`;
  Deno.stdout.writeSync(new TextEncoder().encode(text));
  await Deno.mkdir(new URL("results/", import.meta.url), { recursive: true });
  await Deno.writeTextFile(new URL("results/roll_over.txt", import.meta.url), text);
}

/** @returns milliseconds */
async function moveDefault(place: Place): Promise<number> {
  const session = await place.session();
  const began = performance.now();
  // Under load, the short lock_timeout of the function expires, so the loop repeats the call. Many rows also need
  // several calls.
  for (;;) {
    try {
      const { rows } = await session.query(
        `select public.ensure_heartbeat_partition('public.heartbeats', at)
           from public.heartbeats_without_partition('public.heartbeats') at`,
      );
      if (rows.length === 0) break;
    } catch (error) {
      if ((error as { code?: string }).code !== "55P03") throw error;
    }
  }
  await session.end();
  return performance.now() - began;
}

/** Polls the ledger. The measurement begins with the first stored row. */
function watchStalls(place: Place) {
  let stored = 0;
  let first: number | undefined;
  let last = 0;
  let longestMs = 0;
  let watching = true;
  const loop = (async () => {
    while (watching) {
      const [row] = await place.sql<{ stored: string }>(
        "select coalesce(sum(stored), 0) as stored from public.ingest_offsets",
      );
      const now = performance.now();
      if (Number(row?.stored) > stored) {
        if (first === undefined) first = now;
        else longestMs = Math.max(longestMs, now - last);
        stored = Number(row?.stored);
        last = now;
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_EVERY_MS));
    }
  })();
  return {
    end: async () => {
      watching = false;
      await loop;
      return { stored, longestMs, seconds: (last - (first ?? last)) / 1000 };
    },
  };
}
