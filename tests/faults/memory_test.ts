/** Memory stays bounded by what records take in it, not by what they took on the wire. */
import { ok, strictEqual } from "node:assert";
import type { Place } from "../support/place.ts";
import { linkToKafka, onPlace } from "../support/services.ts";
import { WorkerProcess } from "../support/worker_process.ts";

const MEGABYTE = 1024 * 1024;
/** A consumer at rest takes about 90 MB; one that holds this whole backlog as objects takes more than 600 MB. */
const MOST_BYTES = 400 * MEGABYTE;

/** On the wire, without its key. */
const SMALLEST_RECORD_BYTES = 80;

/** Far more records than may wait in memory, of which thousands fit into a kilobyte. @returns how many */
async function publishBacklog(place: Place, compression: string): Promise<number> {
  await using producer = WorkerProcess.start("producer", {
    env: { KAFKA_BOOTSTRAP_SERVERS: place.stack.kafkaBootstrapServers, KAFKA_TOPIC: place.topic },
    args: [
      "--customers",
      "200",
      "--from",
      "50h",
      "--interval",
      "1m",
      "--seed",
      "1",
      "--compression",
      compression,
    ],
  });
  strictEqual(await producer.exitCode({ withinMs: 120_000 }), 0, producer.tail());
  return (await place.ends()).reduce((sum, end) => sum + end, 0);
}

for (const compression of ["none", "zstd"]) {
  Deno.test(
    `a backlog compressed with ${compression} is read in bounded memory, in batches of bounded length`,
    onPlace({ partitions: 3 }, async (place) => {
      const records = await publishBacklog(place, compression);
      ok(records > 500_000, `${records} records`);
      const consumer = place.consumer({ env: { BATCH_MAX_RECORDS: "5000" } });
      let peak = 0;
      let watching = true;
      const watch = (async () => {
        await consumer.said("partition.opened");
        while (watching) peak = Math.max(peak, await consumer.metric("process_resident_memory_bytes"));
      })();
      await place.caughtUp({ withinMs: 180_000 });
      watching = false;
      await watch;
      ok(peak < MOST_BYTES, `${Math.round(peak / MEGABYTE)} MB`);
      strictEqual(
        await consumer.metric("heartbeat_batch_records_bucket", 'le="5000"'),
        await consumer.metric("heartbeat_batch_records_count"),
      );
    }),
  );
}

Deno.test(
  "while PostgreSQL is away half a million records wait in Kafka and not in memory, and are stored afterwards",
  onPlace({ partitions: 3 }, async (place) => {
    const link = await linkToKafka();
    const consumer = place.consumer({ env: { KAFKA_BOOTSTRAP_SERVERS: `127.0.0.1:${link.port}` } });
    await consumer.said("partition.opened");
    await place.stack.postgres.stop();
    let fetched = 0;
    link.onAnswer = (bytes) => {
      fetched += bytes.length;
      return true;
    };
    const records = await publishBacklog(place, "none");
    ok(records > 500_000, `${records} records`);
    await consumer.notReady(/database: Cannot /);
    strictEqual((await consumer.get("/livez")).status, 200);
    link.onAnswer = () => true;
    const most = records * SMALLEST_RECORD_BYTES / 2;
    ok(fetched < most, `${Math.round(fetched / MEGABYTE)} MB were fetched that nobody could store`);
    const held = await consumer.metric("process_resident_memory_bytes");
    ok(held < MOST_BYTES, `${Math.round(held / MEGABYTE)} MB`);
    await place.stack.postgres.start();
    await place.caughtUp({ withinMs: 180_000 });
    const [rows] = await place.sql("select count(*) from public.heartbeats");
    strictEqual(rows?.count, String(records));
    const { code, output } = await place.run("reconcile");
    strictEqual(code, 0, output);
  }),
);
