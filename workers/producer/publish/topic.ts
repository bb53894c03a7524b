/** The topic that is published to. */
import type { Base } from "@platformatic/kafka";
import { backoffMs, sleep } from "../../_shared/backoff.ts";
import { kafkaFailure } from "../../_shared/kafka/client.ts";
import { createTopic, describeTopic } from "../../_shared/kafka/topic.ts";
import type { Target } from "./lanes.ts";

/**
 * Waits for Kafka, however long, and creates the topic when it is missing.
 *
 * @param wanted its partitions are those of a topic that is created
 * @returns the number of its partitions; undefined when the signal aborted before it was there
 * @throws PipelineError when Kafka answers that it does not let us: nothing is published yet, so the operator hears it
 */
export async function ensureTopic(
  client: Base,
  wanted: Omit<Target, "sender">,
  { signal }: { signal: AbortSignal },
): Promise<number | undefined> {
  const { connection, connection: { topic }, partitions, telemetry } = wanted;
  for (let attempt = 1; !signal.aborted; attempt++) {
    try {
      const found = await describeTopic(client, topic);
      if (found !== undefined) {
        telemetry.topicFound(topic, found.leaders.length);
        return found.leaders.length;
      }
      if (await createTopic(connection, partitions)) telemetry.topicCreated(topic, partitions);
    } catch (error) {
      const failure = kafkaFailure(`reach topic ${topic}`, connection, error);
      if (failure.code === "kafka_refused") throw failure;
      const retryInMs = backoffMs(attempt);
      telemetry.publishFailed(failure, attempt, retryInMs);
      await sleep(retryInMs, { signal });
    }
  }
  return undefined;
}
