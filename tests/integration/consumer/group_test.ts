import { strictEqual } from "node:assert";
import { Consumer } from "@platformatic/kafka";
import { judge, reading } from "../../support/judge.ts";
import { onPlace } from "../../support/services.ts";

const T = "2026-07-14T09:30:00Z";

Deno.test(
  "while its group refuses it, a consumer is not ready and gives the reason; it reads when the group accepts it",
  onPlace({}, async (place) => {
    const other = new Consumer({
      clientId: "other",
      bootstrapBrokers: [place.stack.kafkaBootstrapServers],
      groupId: place.topic,
      protocols: [{ name: "another-protocol", version: 1 }],
    });
    other.topics.track(place.topic);
    await other.joinGroup();
    const consumer = place.consumer();
    await consumer.untilNotReady(/group: Cannot be a member of the group .*INCONSISTENT_GROUP_PROTOCOL/);
    const sent = await place.publisher.send([reading("a", T, 70)]);
    strictEqual(
      consumer.events("kafka.failed").length,
      0,
      "the consumer reported a failure of Kafka instead of the group",
    );
    await other.close(true);
    await place.untilCaughtUp();
    await judge(place, sent);
    await consumer.untilReady();
  }),
);

Deno.test(
  "after its topic is created again with fewer partitions, a consumer without a partition is ready",
  onPlace({ partitions: 2 }, async (place) => {
    const consumers = [place.consumer(), place.consumer()];
    const old = await place.publisher.send([reading("a", T, 70), reading("b", T, 70, { partition: 1 })]);
    await place.untilCaughtUp();
    await place.deleteTopic();
    for (const consumer of consumers) await consumer.untilNotReady(/topic: /);
    await place.createTopic(1);
    const recent = await place.publisher.send([reading("c", T, 70)]);
    await place.untilCaughtUp();
    for (const consumer of consumers) await consumer.untilReady();
    await judge(place, [...old, ...recent]);
  }),
);
