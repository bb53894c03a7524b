import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { QUICK_TAKEOVER } from "../../support/quick_takeover.ts";
import { onCluster, partitionStates } from "../../support/cluster_services.ts";
import { eventually } from "../../../lab/eventually.ts";
import { bad, judge } from "../../support/judge.ts";
import { secondsOf } from "../../support/log_content.ts";
import type { Place } from "../../../lab/place.ts";
import type { WorkerProcess } from "../../../lab/worker_process.ts";
import { waitForNextOffsets } from "../load.ts";
import { ProduceLoad } from "../produce_load.ts";

/** Longer than the 30 s without a commit after which liveness could fail because of lag. */
const WATCHED_MS = 40_000;

/** Partition 0 is on broker 1 only, partition 1 on broker 2, and partition 2 on broker 3. */
async function createUnreplicatedTopic(place: Place): Promise<void> {
  await place.admin.createTopics({
    topics: [place.topic],
    assignments: [1, 2, 3].map((broker, partition) => ({ partition, brokers: [broker] })),
    configs: [{ name: "min.insync.replicas", value: "1" }],
  });
  await eventually("a leader for each partition", async () => {
    return (await partitionStates(place)).every(({ leader }, partition) => leader === partition + 1);
  });
}

/** Also checks that there is lag at the beginning and at the end, because liveness cannot fail without lag. */
async function assertStaysAlive(consumer: WorkerProcess): Promise<void> {
  const failures = new Set<string>();
  const lag = "heartbeat_lag_records";
  await eventually("lag", async () => await consumer.metric(lag) > 0);
  const end = performance.now() + WATCHED_MS;
  await eventually("a failed liveness or the end of the check", async () => {
    const { status, text } = await consumer.get("/livez");
    if (status !== 200) failures.add(text);
    return failures.size > 0 || performance.now() > end;
  });
  deepStrictEqual([...failures], []);
  ok(await consumer.metric(lag) > 0, "the lag ended too early");
}

Deno.test(
  "while one partition has no leader, a new consumer and a new producer use the others, and afterwards all of them",
  onCluster({ partitions: 0 }, async (place, cluster) => {
    await createUnreplicatedTopic(place);
    const sent = await place.publisher.send(
      [0, 1, 2].flatMap((partition) => secondsOf(`c${partition}`, 50, partition)),
    );
    await cluster.broker(1).kill();
    const consumer = place.consumer({ env: QUICK_TAKEOVER });
    await consumer.untilNotReady(/leaders: no broker leads partition 0 of/);
    await waitForNextOffsets(place, { 1: 50, 2: 50 });
    strictEqual((await consumer.get("/livez")).status, 200);
    await using producer = new ProduceLoad(place);
    await producer.waitForGrowth(200);
    strictEqual(producer.sent().some(({ partition }) => partition === 0), false);
    await producer.worker.untilNotReady(/Kafka has not taken a record of partition 0 for/);

    await cluster.broker(1).start();
    await eventually(
      "a record of the producer in partition 0",
      () => producer.sent().some(({ partition }) => partition === 0),
    );
    strictEqual(await producer.worker.stop(), 0);
    await place.untilCaughtUp();
    await judge(place, [...sent, ...producer.sent()], { resent: true });
    await consumer.untilReady();
    strictEqual(consumer.events("partitions.leaderless").length, 1);
    strictEqual(consumer.events("partitions.led").length, 1);
  }),
);

Deno.test(
  "while the only broker of a partition is down, a consumer stays alive, and it stores the records when the broker is back",
  onCluster({ partitions: 0 }, async (place, cluster) => {
    await createUnreplicatedTopic(place);
    strictEqual(await place.consumer({ args: ["--migrate-only"] }).exitCode(), 0);
    // Partition 0 has more records than the consumer buffers. Because inserts are slow, it cannot fetch all of them before the
    // broker is killed.
    await place.sql(`
      create function public.wait() returns trigger language plpgsql
        as $$ begin perform pg_sleep(0.2); return null; end $$;
      create trigger wait before insert on public.heartbeats for each statement execute function public.wait()`);
    const padding = "x".repeat(4_000);
    const large = secondsOf("c", 4_000, 0).map((record) => ({
      ...record,
      value: { ...record.value, padding },
    }));
    const sent = await place.publisher.send([...large, ...secondsOf("d", 50, 1)]);
    const consumer = place.consumer({ env: { ...QUICK_TAKEOVER, BATCH_MAX_RECORDS: "500" } });
    await waitForNextOffsets(place, { 1: 50 });
    await cluster.broker(1).kill();
    await consumer.untilNotReady(/leaders: no broker leads partition 0 of/);
    await assertStaysAlive(consumer);
    sent.push(...await place.publisher.send(secondsOf("later", 50, 2)));
    await waitForNextOffsets(place, { 1: 50, 2: 50 });

    await cluster.broker(1).start();
    await place.untilCaughtUp();
    await judge(place, sent);
    await consumer.untilReady();
    strictEqual(consumer.running, true, "the process has ended");
  }),
);

Deno.test(
  "a consumer names a partition with a corrupt batch in readiness, stays alive, and reads the other partition",
  onCluster({ partitions: 2 }, async (place) => {
    const sent = await place.publisher.send(secondsOf("c", 50, 1));
    const consumer = place.consumer({ env: QUICK_TAKEOVER });
    await waitForNextOffsets(place, { 1: 50 });
    // The broker accepts these 140 MB, because they are small when compressed. A consumer decompresses at most 32 MiB.
    const zeros = new Uint8Array(2 ** 20);
    const bomb = Array.from({ length: 140 }, () => bad("invalid_json", zeros, { key: "k", partition: 0 }));
    await place.publisher.send(bomb, { compression: "zstd", inOneRequest: true });
    await consumer.untilNotReady(
      /records of partition 0: Cannot read what was fetched .*the batch at offset 0/,
    );
    await assertStaysAlive(consumer);
    sent.push(...await place.publisher.send(secondsOf("later", 50, 1)));
    await waitForNextOffsets(place, { 1: 100 });
    strictEqual(await consumer.stop(), 0);
    const rows = await place.sql("select count(*) from public.heartbeats");
    deepStrictEqual(rows, [{ count: String(sent.length) }]);
  }),
);
