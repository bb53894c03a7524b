/** Three brokers of which some are dead: leaders that fail over, copies that are missing, a log that loses its end. */
import { deepStrictEqual, strictEqual } from "node:assert";
import { FindCoordinatorKeyTypes } from "@platformatic/kafka";
import type { Cluster } from "../../stack/cluster.ts";
import { inSync, onCluster, partitionStates } from "../support/cluster_services.ts";
import { eventually } from "../../lab/eventually.ts";
import { judge, reading } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import type { WorkerProcess } from "../../lab/worker_process.ts";
import { BATCH, Load, PARTITIONS, stored } from "./load.ts";
import { ProduceLoad } from "./produce_load.ts";

const COPIES = 3;
const QUICK_TAKEOVER = { KAFKA_SESSION_TIMEOUT_MS: "6000" };

interface Running {
  readonly load: Load;
  readonly producer: ProduceLoad;
  readonly consumer: WorkerProcess;
}

/** A consumer, the test's publisher and the producer's process, all running through `disturb`; then the judgement. */
async function survives(place: Place, disturb: (running: Running) => Promise<void>): Promise<void> {
  const consumer = place.consumer({ env: QUICK_TAKEOVER });
  await using producer = new ProduceLoad(place);
  const load = new Load(place);
  try {
    await eventually("the first rows", async () => await stored(place) > 2 * BATCH);
    await producer.grows(1);
    await disturb({ load, producer, consumer });
    await load.grows(4 * BATCH);
    await producer.grows(100);
  } finally {
    await load.stop();
  }
  strictEqual(await producer.worker.stop(), 0, "the same producer went on, and has nothing left to send");
  await place.caughtUp();
  // A record whose acknowledgement died with its leader is sent again.
  await judge(place, [...load.sent, ...producer.sent()], { resent: true });
  await isWell(consumer);
  const { code, output } = await place.run("reconcile");
  strictEqual(code, 0, output);
}

/** The process that was started at first, and ready again. */
async function isWell(consumer: WorkerProcess): Promise<void> {
  strictEqual(consumer.running, true, "the same consumer outlived it");
  await consumer.ready();
}

/** Waits until no partition of the topic is led by this broker. */
async function ledByOthers(place: Place, broker: number): Promise<void> {
  await eventually(`broker ${broker} to lead nothing`, async () => {
    return (await partitionStates(place)).every(({ leader }) => leader > 0 && leader !== broker);
  });
}

Deno.test(
  "the leader of every partition is killed under load, one after the other: nothing acknowledged is lost",
  onCluster(
    { partitions: PARTITIONS, copies: COPIES },
    (place, cluster) =>
      survives(place, async ({ load, producer, consumer }) => {
        const lost = new Set<number>();
        for (const broker of [1, 2, 3]) {
          for (const [partition, { leader }] of (await partitionStates(place)).entries()) {
            if (leader === broker) lost.add(partition);
          }
          await cluster.broker(broker).kill();
          await ledByOthers(place, broker);
          await load.grows(2 * BATCH);
          await producer.grows(50);
          await cluster.broker(broker).start();
          await inSync(place, COPIES);
          await isWell(consumer);
        }
        deepStrictEqual([...lost].sort(), [0, 1, 2, 3], "each partition lost its leader");
      }),
  ),
);

Deno.test(
  "all brokers and the controller are restarted in turn under load: nothing is lost, nobody has to be helped",
  onCluster(
    { partitions: PARTITIONS, copies: COPIES },
    (place, cluster) =>
      survives(place, async ({ load, producer, consumer }) => {
        for (const node of [...cluster.brokers, cluster.controller]) {
          await node.stop();
          await load.grows(BATCH);
          await producer.grows(50);
          await node.start();
          await inSync(place, COPIES);
          await isWell(consumer);
        }
      }),
  ),
);

Deno.test(
  "with two of three copies away nothing is called sent, producer and consumer wait, and go on when they return",
  onCluster(
    { partitions: PARTITIONS, copies: COPIES },
    (place, cluster) =>
      survives(place, async ({ load, producer, consumer }) => {
        await Promise.all([cluster.broker(1).kill(), cluster.broker(2).kill()]);
        await inSync(place, 1);
        await producer.worker.notReady(/Kafka has not taken a record/);
        await producer.fails(2);
        const [published, sent] = [producer.count, load.sent.length];
        await producer.fails(4);
        deepStrictEqual([producer.count, load.sent.length], [published, sent], "nothing is called sent");
        strictEqual((await consumer.get("/livez")).status, 200);
        await Promise.all([cluster.broker(1).start(), cluster.broker(2).start()]);
        await inSync(place, COPIES);
        await producer.worker.ready();
      }),
  ),
);

Deno.test(
  "the group's coordinator dies: its members go on, one more is let in, and one that leaves is replaced",
  onCluster(
    { partitions: PARTITIONS, copies: COPIES },
    (place, cluster) =>
      survives(place, async ({ load, consumer }) => {
        const [group] = await place.admin.findCoordinator({
          keyType: FindCoordinatorKeyTypes.GROUP,
          keys: [place.topic],
        });
        const coordinator = group?.nodeId ?? 0;
        await cluster.broker(coordinator).kill();
        const second = place.consumer({ env: QUICK_TAKEOVER });
        const share = (worker: WorkerProcess) => worker.metric("heartbeat_assigned_partitions");
        await eventually("both to have two partitions", async () => {
          return await share(consumer) === 2 && await share(second) === 2;
        }, { withinMs: 90_000, seen: () => [consumer.tail(), second.tail()] });
        await load.grows(BATCH);
        strictEqual(await second.stop(), 0);
        await eventually("the first to have all of them", async () => await share(consumer) === PARTITIONS);
        await load.grows(BATCH);
        await cluster.broker(coordinator).start();
      }),
  ),
);

function readings(customer: string, count: number, partition = 0) {
  return Array.from({ length: count }, (_, index) => {
    const timestamp = new Date(Date.UTC(2026, 6, 14) + index * 1000).toISOString();
    return reading(customer, timestamp, 60 + index % 60, { partition });
  });
}

/** A topic whose first partition is on brokers 1 and 2, of which either may lead it alone; its second is led by 3. */
async function createUncleanTopic(place: Place): Promise<void> {
  await place.admin.createTopics({
    topics: [place.topic],
    assignments: [{ partition: 0, brokers: [1, 2] }, { partition: 1, brokers: [3, 2] }],
    configs: [
      { name: "unclean.leader.election.enable", value: "true" },
      { name: "min.insync.replicas", value: "1" },
    ],
  });
  await eventually("both copies", async () => (await partitionStates(place))[0]?.isr.length === 2);
}

/** Takes the end of the first partition's log away, from 10 on, while offset 20 was read. */
async function loseTheEnd(place: Place, cluster: Cluster) {
  const kept = await place.publisher.send([...readings("kept", 10), ...readings("other", 5, 1)]);
  await cluster.broker(2).kill();
  await eventually(
    "broker 1 to be the only one",
    async () => (await partitionStates(place))[0]?.isr.length === 1,
  );
  const lost = await place.publisher.send(readings("lost", 10));
  await place.caughtUp();
  return {
    read: [...kept, ...lost],
    elect: async () => {
      await cluster.broker(1).kill();
      await cluster.broker(2).start();
      await eventually("broker 2 to lead", async () => (await partitionStates(place))[0]?.leader === 2);
      await place.publisher.forget();
    },
  };
}

async function generations(place: Place): Promise<unknown[][]> {
  const rows = await place.sql(
    `select kafka_partition, generation, first_offset, next_offset, stored, duplicates
       from public.ingest_offsets order by 1, 2`,
  );
  return rows.map((row) => Object.values(row));
}

Deno.test(
  "an unclean election loses stored records, and the log grows past them unseen: held, the others go on, then read anew",
  onCluster({ partitions: 0 }, async (place, cluster) => {
    await createUncleanTopic(place);
    const before = place.consumer({ env: QUICK_TAKEOVER });
    const { read, elect } = await loseTheEnd(place, cluster);
    strictEqual(await before.stop(), 0);
    await elect();
    // Offsets 10 to 30: by its offsets alone the log looks as if it had only grown.
    const young = await place.publisher.send([...readings("young", 20), ...readings("next", 5, 1)]);
    const others = young.filter(({ partition }) => partition === 1);

    const holding = place.consumer({ env: QUICK_TAKEOVER });
    await holding.notReady(
      /partition 0: offset 20 is stored, but the log was cut.*KAFKA_OFFSET_RESET=earliest/,
    );
    await eventually("partition 1 to be read", async () => {
      const [row] = await place.sql(
        "select next_offset from public.ingest_offsets where kafka_partition = 1",
      );
      return row?.next_offset === "10";
    });
    await judge(place, [...read, ...others]);
    strictEqual((await holding.get("/livez")).status, 200);
    strictEqual(holding.events("partition.held").length, 1);
    strictEqual(await holding.stop(), 0);

    const consumer = await place.consumeAll({ env: { KAFKA_OFFSET_RESET: "earliest" } });
    strictEqual(consumer.events("partition.log_cut").length, 1);
    deepStrictEqual(await generations(place), [
      [0, 0, "0", "20", "20", "0"],
      [0, 1, "0", "30", "20", "10"],
      [1, 0, "0", "10", "10", "0"],
    ]);
    // The records before the cut are read a second time and counted as duplicates.
    await judge(place, [...read, ...young], { resent: true });
  }),
);

Deno.test(
  "an unclean election under a running consumer that may read anew: reported, all that is left is stored, it goes on",
  onCluster({ partitions: 0 }, async (place, cluster) => {
    await createUncleanTopic(place);
    const consumer = place.consumer({ env: { ...QUICK_TAKEOVER, KAFKA_OFFSET_RESET: "earliest" } });
    const { read, elect } = await loseTheEnd(place, cluster);
    await elect();
    const young = await place.publisher.send(readings("young", 20));
    await consumer.said("partition.log_cut");
    await place.caughtUp();
    await judge(place, [...read, ...young], { resent: true });
    deepStrictEqual((await generations(place)).map(([partition, generation]) => [partition, generation]), [
      [0, 0],
      [0, 1],
      [1, 0],
    ]);
    await isWell(consumer);
  }),
);
