/** What a broker says of a topic whose log ends without records. */
import { match, strictEqual } from "node:assert";
import { kafkaConnection } from "../../../workers/_shared/kafka/client.ts";
import { whyNotCompaction } from "../../../workers/_shared/kafka/topic.ts";
import type { Place } from "../../../lab/place.ts";
import { onPlace } from "../../support/services.ts";

function ask({ stack, topic }: Place): Promise<string | undefined> {
  const env = { KAFKA_BOOTSTRAP_SERVERS: stack.kafkaBootstrapServers, KAFKA_TOPIC: topic };
  return whyNotCompaction(kafkaConnection("test", "test", env, () => ""));
}

for (const policy of ["compact", "compact,delete"]) {
  Deno.test(
    `nothing but compaction explains the silence of a topic with cleanup.policy=${policy}`,
    onPlace({ topicConfig: { "cleanup.policy": policy } }, async (place) => {
      strictEqual(await ask(place), undefined);
    }),
  );
}

Deno.test(
  "compaction does not explain the silence of a topic that is not compacted, or whose settings cannot be read",
  onPlace({}, async (place) => {
    match(await ask(place) ?? "", /cleanup\.policy is delete/);
    await place.deleteTopic();
    match(await ask(place) ?? "", /cannot be read/);
  }),
);
