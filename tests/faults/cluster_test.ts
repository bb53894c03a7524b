import { deepStrictEqual, strictEqual } from "node:assert";
import { FindCoordinatorKeyTypes } from "@platformatic/kafka";
import type { Cluster } from "../../stack/cluster.ts";
import { QUICK_TAKEOVER } from "../support/quick_takeover.ts";
import { onCluster, partitionStates, waitUntilInSync } from "../support/cluster_services.ts";
import { eventually } from "../../lab/eventually.ts";
import { judge } from "../support/judge.ts";
import { secondsOf } from "../support/log_content.ts";
import type { Place } from "../../lab/place.ts";
import type { WorkerProcess } from "../../lab/worker_process.ts";
import { accountFor } from "./account.ts";
import { BATCH, countStored, Load, PARTITIONS, waitForNextOffsets } from "./load.ts";
import { ProduceLoad } from "./produce_load.ts";

const REPLICAS = 3;

interface Running {
  readonly load: Load;
  readonly producer: ProduceLoad;
  readonly consumer: WorkerProcess;
}

async function assertSurvives(place: Place, disturb: (running: Running) => Promise<void>): Promise<void> {
  const consumer = place.consumer({ env: QUICK_TAKEOVER });
  await using producer = new ProduceLoad(place);
  const load = new Load(place);
  try {
    await eventually("the first rows", async () => await countStored(place) > 2 * BATCH);
    await producer.waitForGrowth(1);
    await disturb({ load, producer, consumer });
    await load.waitForGrowth(4 * BATCH);
    await producer.waitForGrowth(100);
  } finally {
    await load.stop();
  }
  strictEqual(await producer.worker.stop(), 0, "the producer left records unsent");
  // If a leader was lost before its acknowledgement, the producer sent the records again.
  await accountFor(place, [...load.sent, ...producer.sent()], { resent: true });
  await assertWell(consumer);
}

async function assertWell(consumer: WorkerProcess): Promise<void> {
  strictEqual(consumer.running, true, "the consumer has ended");
  await consumer.untilReady();
}

async function waitUntilItLeadsNothing(place: Place, broker: number): Promise<void> {
  await eventually(`broker ${broker} to lead no partition`, async () => {
    return (await partitionStates(place)).every(({ leader }) => leader > 0 && leader !== broker);
  });
}

Deno.test(
  "no acknowledged record is lost when the three brokers are killed one after another under load",
  onCluster(
    { partitions: PARTITIONS, replicas: REPLICAS },
    (place, cluster) =>
      assertSurvives(place, async ({ load, producer, consumer }) => {
        const leaderless = new Set<number>();
        for (const broker of [1, 2, 3]) {
          for (const [partition, { leader }] of (await partitionStates(place)).entries()) {
            if (leader === broker) leaderless.add(partition);
          }
          await cluster.broker(broker).kill();
          await waitUntilItLeadsNothing(place, broker);
          await load.waitForGrowth(2 * BATCH);
          await producer.waitForGrowth(50);
          await cluster.broker(broker).start();
          await waitUntilInSync(place, REPLICAS);
          await assertWell(consumer);
        }
        deepStrictEqual([...leaderless].sort(), [0, 1, 2, 3], "some partitions never lost their leader");
      }),
  ),
);

Deno.test(
  "producer and consumer lose no record and keep running while all brokers and the controller restart one after another",
  onCluster(
    { partitions: PARTITIONS, replicas: REPLICAS },
    (place, cluster) =>
      assertSurvives(place, async ({ load, producer, consumer }) => {
        for (const node of [...cluster.brokers, cluster.controller]) {
          await node.stop();
          await load.waitForGrowth(BATCH);
          await producer.waitForGrowth(50);
          await node.start();
          await waitUntilInSync(place, REPLICAS);
          await assertWell(consumer);
        }
      }),
  ),
);

Deno.test(
  "the producer reports no record as sent while two of three replicas are down, and both workers continue afterwards",
  onCluster(
    { partitions: PARTITIONS, replicas: REPLICAS },
    (place, cluster) =>
      assertSurvives(place, async ({ load, producer, consumer }) => {
        await Promise.all([cluster.broker(1).kill(), cluster.broker(2).kill()]);
        await waitUntilInSync(place, 1);
        await producer.worker.untilNotReady(/Kafka has not taken a record/);
        await producer.waitForFailures(2);
        const [published, sent] = [producer.count, load.sent.length];
        await producer.waitForFailures(4);
        deepStrictEqual(
          [producer.count, load.sent.length],
          [published, sent],
          "a record was reported as sent",
        );
        strictEqual((await consumer.get("/livez")).status, 200);
        await Promise.all([cluster.broker(1).start(), cluster.broker(2).start()]);
        await waitUntilInSync(place, REPLICAS);
        await producer.worker.untilReady();
      }),
  ),
);

Deno.test(
  "members of a group continue, join and leave after the broker that coordinates the group is killed",
  onCluster(
    { partitions: PARTITIONS, replicas: REPLICAS },
    (place, cluster) =>
      assertSurvives(place, async ({ load, consumer }) => {
        const [group] = await place.admin.findCoordinator({
          keyType: FindCoordinatorKeyTypes.GROUP,
          keys: [place.topic],
        });
        const coordinator = group?.nodeId ?? 0;
        await cluster.broker(coordinator).kill();
        const second = place.consumer({ env: QUICK_TAKEOVER });
        const share = (worker: WorkerProcess) => worker.metric("heartbeat_assigned_partitions");
        await eventually("both consumers to have two partitions", async () => {
          return await share(consumer) === 2 && await share(second) === 2;
        }, { withinMs: 90_000, seen: () => [consumer.tail(), second.tail()] });
        await load.waitForGrowth(BATCH);
        strictEqual(await second.stop(), 0);
        await eventually("the first consumer to have all partitions", async () =>
          await share(consumer) === PARTITIONS);
        await load.waitForGrowth(BATCH);
        await cluster.broker(coordinator).start();
      }),
  ),
);

/** Brokers 1 and 2 hold partition 0, and each of them may lead it alone. Broker 3 leads partition 1. */
async function createUncleanTopic(place: Place): Promise<void> {
  await place.admin.createTopics({
    topics: [place.topic],
    assignments: [{ partition: 0, brokers: [1, 2] }, { partition: 1, brokers: [3, 2] }],
    configs: [
      { name: "unclean.leader.election.enable", value: "true" },
      { name: "min.insync.replicas", value: "1" },
    ],
  });
  await eventually(
    "both replicas to be in sync",
    async () => (await partitionStates(place))[0]?.isr.length === 2,
  );
}

/** @returns `elect` makes broker 2 the leader of partition 0; its log ends at offset 10, but offset 20 is stored */
async function prepareUncleanElection(place: Place, cluster: Cluster) {
  const kept = await place.publisher.send([...secondsOf("kept", 10), ...secondsOf("other", 5, 1)]);
  await cluster.broker(2).kill();
  await eventually(
    "broker 1 to be the only replica in sync",
    async () => (await partitionStates(place))[0]?.isr.length === 1,
  );
  const lost = await place.publisher.send(secondsOf("lost", 10));
  await place.untilCaughtUp();
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

/** @returns one line for each ledger row */
async function ledgerRows(place: Place): Promise<string[]> {
  const rows = await place.sql(
    `select format('partition %s, generation %s: %s to %s, %s stored, %s duplicates', kafka_partition, generation,
                   first_offset, next_offset, stored, duplicates) as line
       from public.ingest_offsets order by kafka_partition, generation`,
  );
  return rows.map(({ line }) => String(line));
}

Deno.test(
  "a consumer holds a partition after an unclean election truncated its log, even if the log grew past the stored offset",
  onCluster({ partitions: 0 }, async (place, cluster) => {
    await createUncleanTopic(place);
    const first = place.consumer({ env: QUICK_TAKEOVER });
    const { read, elect } = await prepareUncleanElection(place, cluster);
    strictEqual(await first.stop(), 0);
    await elect();
    // The new records have the offsets 10 to 30, so the offsets alone do not show the truncation.
    const recent = await place.publisher.send([...secondsOf("recent", 20), ...secondsOf("next", 5, 1)]);
    const others = recent.filter(({ partition }) => partition === 1);

    const second = place.consumer({ env: QUICK_TAKEOVER });
    await second.untilNotReady(
      /partition 0: offset 20 is stored, but the log was cut.*KAFKA_OFFSET_RESET=earliest/,
    );
    await waitForNextOffsets(place, { 1: 10 });
    await judge(place, [...read, ...others]);
    strictEqual((await second.get("/livez")).status, 200);
    strictEqual(second.events("partition.held").length, 1);
    strictEqual(await second.stop(), 0);

    const third = await place.consumeAll({ env: { KAFKA_OFFSET_RESET: "earliest" } });
    strictEqual(third.events("partition.log_cut").length, 1);
    deepStrictEqual(await ledgerRows(place), [
      "partition 0, generation 0: 0 to 20, 20 stored, 0 duplicates",
      "partition 0, generation 1: 0 to 30, 20 stored, 10 duplicates",
      "partition 1, generation 0: 0 to 10, 10 stored, 0 duplicates",
    ]);
    // The consumer reads the kept records a second time and counts them as duplicates.
    await judge(place, [...read, ...recent], { resent: true });
  }),
);

Deno.test(
  "with KAFKA_OFFSET_RESET=earliest, a running consumer reads a log again after an unclean election truncated it",
  onCluster({ partitions: 0 }, async (place, cluster) => {
    await createUncleanTopic(place);
    const consumer = place.consumer({ env: { ...QUICK_TAKEOVER, KAFKA_OFFSET_RESET: "earliest" } });
    const { read, elect } = await prepareUncleanElection(place, cluster);
    await elect();
    const recent = await place.publisher.send(secondsOf("recent", 20));
    await consumer.untilLogged("partition.log_cut");
    await place.untilCaughtUp();
    await judge(place, [...read, ...recent], { resent: true });
    deepStrictEqual((await ledgerRows(place)).map((line) => line.split(":")[0]), [
      "partition 0, generation 0",
      "partition 0, generation 1",
      "partition 1, generation 0",
    ]);
    await assertWell(consumer);
  }),
);
