/** The topic that is published to. */
import type { Base } from "@platformatic/kafka";
import { backoffMs, sleep } from "../../_shared/backoff.ts";
import { kafkaFailure } from "../../_shared/kafka/client.ts";
import { createTopic, describeTopic } from "../../_shared/kafka/topic.ts";
import type { KafkaConnection } from "../../_shared/kafka/client.ts";
import type { ProducerTelemetry } from "./telemetry.ts";

/**
 * Waits for Kafka, however long, and creates the topic when it is missing.
 *
 * @returns the number of its partitions; undefined when the signal aborted before it was there
 * @throws PipelineError when Kafka answers that it does not let us: nothing is published yet, so the operator hears it
 */
export async function ensureTopic(
  client: Base,
  connection: KafkaConnection,
  partitions: number,
  telemetry: ProducerTelemetry,
  { signal }: { signal: AbortSignal },
): Promise<number | undefined> {
  for (let attempt = 1; !signal.aborted; attempt++) {
    try {
      const found = await describeTopic(client, connection.topic);
      if (found !== undefined) {
        telemetry.topicFound(connection.topic, found.leaders.length);
        return found.leaders.length;
      }
      if (await createTopic(connection, partitions)) telemetry.topicCreated(connection.topic, partitions);
    } catch (error) {
      const failure = kafkaFailure(`reach topic ${connection.topic}`, connection, error);
      if (failure.code === "kafka_refused") throw failure;
      const retryInMs = backoffMs(attempt);
      telemetry.publishFailed(failure, { attempt, records: 0, retryInMs });
      await sleep(retryInMs, { signal });
    }
  }
  return undefined;
}
