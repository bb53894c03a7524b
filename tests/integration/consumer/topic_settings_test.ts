import { match, strictEqual } from "node:assert";
import { kafkaConnection } from "../../../workers/_shared/kafka/client.ts";
import { whyNotCompaction } from "../../../workers/_shared/kafka/topic.ts";
import type { Place } from "../../../lab/place.ts";
import { onPlace } from "../../support/services.ts";

function reasonAgainstCompaction({ stack, topic }: Place): Promise<string | undefined> {
  const env = { KAFKA_BOOTSTRAP_SERVERS: stack.kafkaBootstrapServers, KAFKA_TOPIC: topic };
  return whyNotCompaction(kafkaConnection("test", "test", env, () => ""));
}

for (const policy of ["compact", "compact,delete"]) {
  Deno.test(
    `missing offsets at the end of a log can count as compacted if its topic has cleanup.policy=${policy}`,
    onPlace({ topicConfig: { "cleanup.policy": policy } }, async (place) => {
      strictEqual(await reasonAgainstCompaction(place), undefined);
    }),
  );
}

Deno.test(
  "missing offsets at the end of a log do not count as compacted if the topic has no compaction or its settings are unreadable",
  onPlace({}, async (place) => {
    match(await reasonAgainstCompaction(place) ?? "", /cleanup\.policy is delete/);
    await place.deleteTopic();
    match(await reasonAgainstCompaction(place) ?? "", /cannot be read/);
  }),
);
