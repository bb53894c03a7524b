import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { Judge } from "../../chaos/judge/judge.ts";
import { eventually } from "../../lab/eventually.ts";
import type { Place } from "../../lab/place.ts";
import { linkToKafka, onPlace } from "../support/services.ts";
import type { WorkerProcess } from "../../lab/worker_process.ts";
import { assertReconciled, assertWithinMemory } from "./account.ts";
import { publish, type Published } from "./known_records.ts";

const MEGABYTE = 1024 * 1024;

const PARTITIONS = 3;
/** In memory, all of them would take 250 MB, in addition to the 90 MB of an idle consumer. */
const RECORDS = 600_000;
const SHAPE = { partitions: PARTITIONS, keyLength: 300 };
const BACKLOG_BYTES = RECORDS * (SHAPE.keyLength + 80);

async function assertStoredWithinMemory(
  place: Place,
  { records, load }: Published,
  consumer: WorkerProcess,
): Promise<void> {
  await place.untilCaughtUp({ withinMs: 180_000 });
  await assertWithinMemory(consumer);
  const judge = new Judge({
    query: (sql, values) => place.sql(sql, values),
    records,
    load,
  });
  deepStrictEqual((await judge.judgeAll(await place.ends())).problems, []);
  await assertReconciled(place);
}

for (const codec of ["none", "zstd"] as const) {
  Deno.test(
    `a consumer reads a backlog with codec ${codec} in less than 256 MB of memory, in batches of at most BATCH_MAX_RECORDS`,
    onPlace({ partitions: PARTITIONS }, async (place) => {
      const published = await publish(place, RECORDS, { ...SHAPE, codec });
      const consumer = place.consumer({ env: { BATCH_MAX_RECORDS: "5000" } });
      await assertStoredWithinMemory(place, published, consumer);
      strictEqual(
        await consumer.metric("heartbeat_batch_records_bucket", 'le="5000"'),
        await consumer.metric("heartbeat_batch_records_count"),
      );
    }),
  );
}

Deno.test(
  "while PostgreSQL is down, 600,000 records wait in Kafka instead of memory, and they are stored afterwards",
  onPlace({ partitions: PARTITIONS }, async (place) => {
    const link = await linkToKafka();
    const consumer = place.consumer({ env: { KAFKA_BOOTSTRAP_SERVERS: `127.0.0.1:${link.port}` } });
    await consumer.untilLogged("partition.opened");
    await place.stack.postgres.stop();
    let fetched = 0;
    link.onAnswer = (bytes) => {
      fetched += bytes.length;
      return true;
    };
    const published = await publish(place, RECORDS, { ...SHAPE, codec: "none" });
    await consumer.untilNotReady(/database: Cannot /);
    strictEqual((await consumer.get("/livez")).status, 200);
    // Without this wait, a consumer that fetches nothing would pass the check below.
    await eventually("the buffers to fill", () => fetched > 6 * MEGABYTE, { seen: () => fetched });
    link.onAnswer = () => true;
    ok(
      fetched < BACKLOG_BYTES / 8,
      `the consumer fetched ${Math.round(fetched / MEGABYTE)} MB while it could store nothing`,
    );
    await place.stack.postgres.start();
    await assertStoredWithinMemory(place, published, consumer);
  }),
);
