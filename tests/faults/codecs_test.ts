/** Every compression that a client of Kafka can send, and a producer whose broker is killed. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { eventually } from "../support/eventually.ts";
import { type Intended, reading } from "../support/judge.ts";
import type { Compression, Sent } from "../support/produce.ts";
import { onPlace } from "../support/services.ts";
import { WorkerProcess } from "../support/worker_process.ts";
import { accountFor } from "./account.ts";

const T = "2026-07-14T09:30:00Z";
const COUNT = 300;

function readings(prefix: string): Intended[] {
  return Array.from({ length: COUNT }, (_, index) => reading(`${prefix}-${index}`, T, 70));
}

Deno.test(
  "records that this repository's client compressed are read, whatever the codec",
  onPlace({}, async (place) => {
    const sent: Sent<Intended>[] = [];
    for (const compression of ["none", "gzip", "snappy", "lz4", "zstd"] satisfies Compression[]) {
      sent.push(...await place.publisher.send(readings(compression), { compression }));
    }
    await place.consumeAll();
    await accountFor(place, sent);
  }),
);

for (const codec of ["gzip", "snappy", "lz4", "zstd"]) {
  Deno.test(
    `records that Kafka's own library compressed with ${codec} are read`,
    // The broker compresses anew what comes otherwise, with the code of its Java client.
    onPlace({ topicConfig: { "compression.type": codec } }, async (place) => {
      const sent = await place.publisher.send(readings(codec));
      const [broker] = await place.admin.describeLogDirs({
        topics: [{ name: place.topic, partitions: [0] }],
      });
      const topic = broker?.results[0]?.topics.find(({ name }) => name === place.topic);
      const stored = Number(topic?.partitions[0]?.partitionSize);
      const plain = sent.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
      ok(stored < plain / 2, `${stored} bytes in the log, ${plain} sent: the broker compressed them`);
      await place.consumeAll();
      await accountFor(place, sent);
    }),
  );
}

Deno.test(
  "a producer whose broker is killed goes on by itself, and each of its records becomes one row",
  onPlace({ partitions: 3 }, async (place) => {
    place.consumer();
    await using producer = WorkerProcess.start("producer", {
      env: {
        KAFKA_BOOTSTRAP_SERVERS: place.stack.kafkaBootstrapServers,
        KAFKA_TOPIC: place.topic,
        LOG_FORMAT: "json",
      },
      args: ["--rate", "2000", "--count", "20000", "--customers", "40", "--seed", "3"],
    });
    const published = () => producer.metric("heartbeat_published_total");
    for (let time = 1; time <= 2; time++) {
      const goal = await published() + 3_000;
      await eventually("some thousand records more", async () => await published() >= goal);
      await place.stack.kafka.kill();
      await producer.said("kafka.unavailable");
      await place.stack.kafka.start();
    }
    strictEqual(await producer.exitCode({ withinMs: 120_000 }), 0, producer.tail());
    await place.caughtUp();
    deepStrictEqual(await place.sql("select count(*) from public.heartbeats"), [{ count: "20000" }]);
    const { code, output } = await place.run("reconcile");
    strictEqual(code, 0, output);
  }),
);
