/** One partition stands still, and that is not the consumer's fault: it says so, stays alive, and goes on with the others. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { onCluster, partitionStates } from "../support/cluster_services.ts";
import { eventually } from "../../lab/eventually.ts";
import { bad, judge, reading } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import type { WorkerProcess } from "../../lab/worker_process.ts";
import { ProduceLoad } from "./produce_load.ts";

const QUICK_TAKEOVER = { KAFKA_SESSION_TIMEOUT_MS: "6000" };
/** Longer than lag may last without a commit before liveness turns red. */
const WATCHED_MS = 40_000;

function readings(customer: string, count: number, partition: number, padding = "") {
  return Array.from({ length: count }, (_, index) => {
    const timestamp = new Date(Date.UTC(2026, 6, 14) + index * 1000).toISOString();
    const one = reading(customer, timestamp, 60 + index % 60, { partition });
    return padding === "" ? one : { ...one, value: { ...one.value, padding } };
  });
}

/** Each partition on a broker of its own, and nowhere else: partition 0 on broker 1, and so on. */
async function createSingleCopies(place: Place): Promise<void> {
  await place.admin.createTopics({
    topics: [place.topic],
    assignments: [1, 2, 3].map((broker, partition) => ({ partition, brokers: [broker] })),
    configs: [{ name: "min.insync.replicas", value: "1" }],
  });
  await eventually("a leader for each partition", async () => {
    return (await partitionStates(place)).every(({ leader }, partition) => leader === partition + 1);
  });
}

/** Waits until these partitions are stored up to here. */
async function reached(place: Place, ends: Readonly<Record<number, number>>): Promise<void> {
  let seen: unknown;
  await eventually("the others to be stored", async () => {
    const rows = await place.sql("select kafka_partition, next_offset from public.ingest_offsets");
    const next = new Map(rows.map((row) => [String(row.kafka_partition), Number(row.next_offset)]));
    seen = next;
    return Object.entries(ends).every(([partition, end]) => next.get(partition) === end);
  }, { withinMs: 90_000, seen: () => seen });
}

/** Watches liveness while there is lag and nothing can be written, for longer than a process that is stuck has. */
async function staysAlive(consumer: WorkerProcess): Promise<void> {
  const red = new Set<string>();
  const lag = "heartbeat_lag_records";
  await eventually("lag", async () => await consumer.metric(lag) > 0);
  const end = performance.now() + WATCHED_MS;
  await eventually("liveness to have been watched", async () => {
    const { status, text } = await consumer.get("/livez");
    if (status !== 200) red.add(text);
    return red.size > 0 || performance.now() > end;
  });
  deepStrictEqual([...red], []);
  ok(await consumer.metric(lag) > 0, "there still is");
}

Deno.test(
  "a broker is away that alone has a partition: a new consumer and a new producer go on with the others, and with all",
  onCluster({ partitions: 0 }, async (place, cluster) => {
    await createSingleCopies(place);
    const sent = await place.publisher.send(
      [0, 1, 2].flatMap((partition) => readings(`c${partition}`, 50, partition)),
    );
    await cluster.broker(1).kill();
    const consumer = place.consumer({ env: QUICK_TAKEOVER });
    await consumer.notReady(/leaders: no broker leads partition 0 of/);
    await reached(place, { 1: 50, 2: 50 });
    strictEqual((await consumer.get("/livez")).status, 200);
    await using producer = new ProduceLoad(place);
    await producer.grows(200);
    strictEqual(producer.sent().some(({ partition }) => partition === 0), false);
    await producer.worker.notReady(/Kafka has not taken a record of partition 0 for/);

    await cluster.broker(1).start();
    await eventually(
      "the producer to reach it",
      () => producer.sent().some(({ partition }) => partition === 0),
    );
    strictEqual(await producer.worker.stop(), 0);
    await place.caughtUp();
    await judge(place, [...sent, ...producer.sent()], { resent: true });
    await consumer.ready();
    strictEqual(consumer.events("partitions.leaderless").length, 1);
    strictEqual(consumer.events("partitions.led").length, 1);
  }),
);

Deno.test(
  "a broker goes away with records that nobody else has: the consumer stays alive for as long, and stores them then",
  onCluster({ partitions: 0 }, async (place, cluster) => {
    await createSingleCopies(place);
    strictEqual(await place.consumer({ args: ["--migrate-only"] }).exitCode(), 0);
    // Slow enough to fetch less than there is before the broker dies: its records are more than the buffer takes.
    await place.sql(`
      create function public.wait() returns trigger language plpgsql
        as $$ begin perform pg_sleep(0.2); return null; end $$;
      create trigger wait before insert on public.heartbeats for each statement execute function public.wait()`);
    const sent = await place.publisher.send([
      ...readings("c", 4_000, 0, "x".repeat(4_000)),
      ...readings("d", 50, 1),
    ]);
    const consumer = place.consumer({ env: { ...QUICK_TAKEOVER, BATCH_MAX_RECORDS: "500" } });
    await reached(place, { 1: 50 });
    await cluster.broker(1).kill();
    await consumer.notReady(/leaders: no broker leads partition 0 of/);
    await staysAlive(consumer);
    sent.push(...await place.publisher.send(readings("later", 50, 2)));
    await reached(place, { 1: 50, 2: 50 });

    await cluster.broker(1).start();
    await place.caughtUp();
    await judge(place, sent);
    await consumer.ready();
    strictEqual(consumer.running, true, "the same process outlived it");
  }),
);

Deno.test(
  "a batch that cannot be read stops its partition: readiness names it, the process stays alive, the others go on",
  onCluster({ partitions: 2 }, async (place) => {
    const sent = await place.publisher.send(readings("c", 50, 1));
    const consumer = place.consumer({ env: QUICK_TAKEOVER });
    await reached(place, { 1: 50 });
    // Taken by every broker: little to send, and far more than we are willing to decompress.
    const zeros = new Uint8Array(2 ** 20);
    const bomb = Array.from({ length: 140 }, () => bad("invalid_json", zeros, { key: "k", partition: 0 }));
    await place.publisher.send(bomb, { compression: "zstd", inOneRequest: true });
    await consumer.notReady(/records of partition 0: Cannot read what was fetched .*the batch at offset 0/);
    await staysAlive(consumer);
    sent.push(...await place.publisher.send(readings("later", 50, 1)));
    await reached(place, { 1: 100 });
    strictEqual(await consumer.stop(), 0);
    const rows = await place.sql("select count(*) from public.heartbeats");
    deepStrictEqual(rows, [{ count: String(sent.length) }]);
  }),
);
