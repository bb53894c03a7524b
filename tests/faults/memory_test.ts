/** Memory stays bounded by what records take in it, not by what they took on the wire. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { Judge } from "../../chaos/judge/judge.ts";
import { eventually } from "../../lab/eventually.ts";
import type { Place } from "../../lab/place.ts";
import { peakMemory } from "../support/resources.ts";
import { linkToKafka, onPlace } from "../support/services.ts";
import type { WorkerProcess } from "../../lab/worker_process.ts";
import { publish, type Published } from "./known_records.ts";

const MEGABYTE = 1024 * 1024;
/** What is promised of a consumer that is started as its task does it; at rest it takes about 90 MB. */
const MOST_BYTES = 256 * MEGABYTE;

const PARTITIONS = 3;
/** All of it would take 250 MB, and compressed with zstd it lies in a tenth of that. */
const RECORDS = 600_000;
const SHAPE = { partitions: PARTITIONS, keyLength: 300 };
/** In memory. */
const BACKLOG_BYTES = RECORDS * (SHAPE.keyLength + 80);

/** Each record ended where it must, and the most memory that this ever took is within what is promised. */
async function accountFor(
  place: Place,
  { records, load }: Published,
  consumer: WorkerProcess,
): Promise<void> {
  await place.caughtUp({ withinMs: 180_000 });
  const peak = await peakMemory(consumer);
  ok(peak < MOST_BYTES, `${Math.round(peak / MEGABYTE)} MB were taken, expected less than 256`);
  const judge = new Judge({
    query: (sql, values) => place.sql(sql, values),
    records,
    load,
  });
  deepStrictEqual((await judge.everything(await place.ends())).problems, []);
  const { code, output } = await place.run("reconcile");
  strictEqual(code, 0, output);
}

for (const codec of ["none", "zstd"] as const) {
  Deno.test(
    `a backlog compressed with ${codec} is read in bounded memory, in batches of bounded length`,
    onPlace({ partitions: PARTITIONS }, async (place) => {
      const published = await publish(place, RECORDS, { ...SHAPE, codec });
      const consumer = place.consumer({ env: { BATCH_MAX_RECORDS: "5000" } });
      await accountFor(place, published, consumer);
      strictEqual(
        await consumer.metric("heartbeat_batch_records_bucket", 'le="5000"'),
        await consumer.metric("heartbeat_batch_records_count"),
      );
    }),
  );
}

Deno.test(
  "while PostgreSQL is away half a million records wait in Kafka and not in memory, and are stored afterwards",
  onPlace({ partitions: PARTITIONS }, async (place) => {
    const link = await linkToKafka();
    const consumer = place.consumer({ env: { KAFKA_BOOTSTRAP_SERVERS: `127.0.0.1:${link.port}` } });
    await consumer.said("partition.opened");
    await place.stack.postgres.stop();
    let fetched = 0;
    link.onAnswer = (bytes) => {
      fetched += bytes.length;
      return true;
    };
    const published = await publish(place, RECORDS, { ...SHAPE, codec: "none" });
    await consumer.notReady(/database: Cannot /);
    strictEqual((await consumer.get("/livez")).status, 200);
    // A consumer that fetches nothing proves nothing.
    await eventually("the buffers to fill", () => fetched > 6 * MEGABYTE, { seen: () => fetched });
    link.onAnswer = () => true;
    ok(
      fetched < BACKLOG_BYTES / 8,
      `${Math.round(fetched / MEGABYTE)} MB were fetched that nobody could store`,
    );
    await place.stack.postgres.start();
    await accountFor(place, published, consumer);
  }),
);
