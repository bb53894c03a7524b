import { deepStrictEqual, strictEqual } from "node:assert";
import { judge } from "../../support/judge.ts";
import type { Place } from "../../../lab/place.ts";
import { onPlace } from "../../support/services.ts";
import { readings } from "./readings.ts";

async function ledgers(place: Place): Promise<unknown[][]> {
  const rows = await place.sql(
    `select kafka_partition, first_offset, next_offset, stored
       from public.ingest_offsets
      order by min(opened_at) over (partition by topic_id), kafka_partition`,
  );
  return rows.map((row) => Object.values(row));
}

Deno.test(
  "a consumer waits for a missing topic, gives the reason in readiness, and reads the topic once it exists",
  onPlace({ partitions: 0 }, async (place) => {
    const consumer = place.consumer();
    await consumer.said("topic.missing");
    await consumer.notReady(/topic: .* does not exist; create it/);
    strictEqual((await consumer.get("/livez")).status, 200);
    strictEqual(await place.describeTopic(), undefined, "the consumer does not create it");
    await place.createTopic(3);
    const sent = await place.publisher.send(readings("a", 9, 3));
    await place.caughtUp();
    await judge(place, sent);
    await consumer.ready();
  }),
);

Deno.test(
  "two consumers read the partitions that are added to their topic",
  onPlace({ partitions: 1 }, async (place) => {
    const consumers = [place.consumer(), place.consumer()];
    const sent = await place.publisher.send(readings("a", 5));
    await place.caughtUp();
    await place.addPartitions(4);
    sent.push(...await place.publisher.send(readings("b", 40, 4)));
    await place.caughtUp();
    await judge(place, sent);
    for (const consumer of consumers) await consumer.ready();
  }),
);

Deno.test(
  "a running consumer reads a topic that is created again with more partitions as a new log",
  onPlace({ partitions: 2 }, async (place) => {
    const consumer = place.consumer();
    const old = await place.publisher.send(readings("old", 6, 2));
    await place.caughtUp();
    await place.deleteTopic();
    await consumer.notReady(/topic: .* does not exist/);
    await place.createTopic(3);
    const recent = await place.publisher.send(readings("new", 12, 3));
    await place.caughtUp();
    await judge(place, [...old, ...recent]);
    deepStrictEqual(await ledgers(place), [
      [0, "0", "3", "3"],
      [1, "0", "3", "3"],
      [0, "0", "4", "4"],
      [1, "0", "4", "4"],
      [2, "0", "4", "4"],
    ]);
    await consumer.ready();
  }),
);
