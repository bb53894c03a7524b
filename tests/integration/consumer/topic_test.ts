import { deepStrictEqual, strictEqual } from "node:assert";
import { judge } from "../../support/judge.ts";
import type { Place } from "../../../lab/place.ts";
import { onPlace } from "../../support/services.ts";
import { readings } from "./readings.ts";

/** @returns one line for each ledger row, those of the oldest topic first */
async function ledgerRows(place: Place): Promise<string[]> {
  const rows = await place.sql(
    `select format('partition %s: %s to %s, %s stored', kafka_partition, first_offset, next_offset, stored) as line
       from public.ingest_offsets
      order by min(opened_at) over (partition by topic_id), kafka_partition`,
  );
  return rows.map(({ line }) => String(line));
}

Deno.test(
  "a consumer waits for a missing topic, gives the reason in readiness, and reads the topic once it exists",
  onPlace({ partitions: 0 }, async (place) => {
    const consumer = place.consumer();
    await consumer.untilLogged("topic.missing");
    await consumer.untilNotReady(/topic: .* does not exist; create it/);
    strictEqual((await consumer.get("/livez")).status, 200);
    strictEqual(await place.describeTopic(), undefined, "the consumer created the topic");
    await place.createTopic(3);
    const sent = await place.publisher.send(readings("a", 9, 3));
    await place.untilCaughtUp();
    await judge(place, sent);
    await consumer.untilReady();
  }),
);

Deno.test(
  "two consumers read the partitions that are added to their topic",
  onPlace({ partitions: 1 }, async (place) => {
    const consumers = [place.consumer(), place.consumer()];
    const sent = await place.publisher.send(readings("a", 5));
    await place.untilCaughtUp();
    await place.addPartitions(4);
    sent.push(...await place.publisher.send(readings("b", 40, 4)));
    await place.untilCaughtUp();
    await judge(place, sent);
    for (const consumer of consumers) await consumer.untilReady();
  }),
);

Deno.test(
  "when its topic is created again with more partitions, a running consumer reads the new logs from their beginning",
  onPlace({ partitions: 2 }, async (place) => {
    const consumer = place.consumer();
    const old = await place.publisher.send(readings("old", 6, 2));
    await place.untilCaughtUp();
    await place.deleteTopic();
    await consumer.untilNotReady(/topic: .* does not exist/);
    await place.createTopic(3);
    const recent = await place.publisher.send(readings("new", 12, 3));
    await place.untilCaughtUp();
    await judge(place, [...old, ...recent]);
    deepStrictEqual(await ledgerRows(place), [
      "partition 0: 0 to 3, 3 stored",
      "partition 1: 0 to 3, 3 stored",
      "partition 0: 0 to 4, 4 stored",
      "partition 1: 0 to 4, 4 stored",
      "partition 2: 0 to 4, 4 stored",
    ]);
    await consumer.untilReady();
  }),
);
