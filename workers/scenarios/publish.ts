import { retryUntilAborted } from "../_shared/backoff.ts";
import { describeError, findInCauses, PipelineError } from "../_shared/errors.ts";
import { type KafkaConnection, kafkaFailure } from "../_shared/kafka/client.ts";
import { describeTopic } from "../_shared/kafka/topic.ts";
import { REFUSED_RECORDS } from "../_shared/kafka/error_codes.ts";
import { partitionOf } from "../_shared/kafka/partitioner.ts";
import { Sender } from "../_shared/kafka/sender.ts";
import type { PlannedRecord } from "./catalogue/scenario.ts";

/** Below the default limit of a broker: `message.max.bytes` is 1,048,588. */
const MAX_BATCH_BYTES = 512 * 1024;

export interface ScenarioRecord extends PlannedRecord {
  readonly scenario: string;
}

export interface PublishedRecord {
  readonly record: ScenarioRecord;
  readonly partition: number;
  /** Undefined if Kafka refused the record; `refusal` has the reason. */
  readonly offset: number | undefined;
  readonly refusal?: string;
}

export interface Publication {
  readonly topicId: string;
  readonly records: readonly PublishedRecord[];
}

export interface PublishOptions {
  readonly signal: AbortSignal;
  /** Limits each request to Kafka with its retries, and the wait for the consumer. */
  readonly timeoutMs: number;
}

/**
 * Resolves when each record is acknowledged by all in-sync replicas, or refused.
 *
 * @returns undefined if `signal` aborted first
 * @throws PipelineError if the topic does not exist, or if Kafka is unavailable until the timeout
 */
export async function publish(
  connection: KafkaConnection,
  records: readonly ScenarioRecord[],
  options: PublishOptions,
): Promise<Publication | undefined> {
  const sender = new Sender(connection);
  try {
    const topic = await retryUntilTimeout("read the topic", connection, options, async () => {
      return { found: await describeTopic(sender.client, connection.topic) };
    });
    if (topic === undefined) return undefined;
    if (topic.found === undefined) {
      throw new PipelineError(
        "topic_missing",
        `Cannot publish: topic ${connection.topic} does not exist; create it, or start the producer, which creates it`,
      );
    }
    const { id: topicId, leaders } = topic.found;
    const published: PublishedRecord[] = [];
    for (const batch of batches(records)) {
      const send = () => sendBatch(sender, batch, leaders.length);
      const sent = await retryUntilTimeout("publish", connection, options, send);
      if (sent === undefined) return undefined;
      published.push(...sent);
    }
    return { topicId, records: published };
  } finally {
    await sender[Symbol.asyncDispose]().catch(() => {});
  }
}

/** A retry can publish a batch twice. The second copy does not change the rows, and only this copy is checked. */
async function retryUntilTimeout<T>(
  action: string,
  connection: KafkaConnection,
  { signal, timeoutMs }: PublishOptions,
  attempt: () => Promise<T>,
): Promise<T | undefined> {
  let failure: PipelineError | undefined;
  const result = await retryUntilAborted(
    async () => ({ value: await attempt() }),
    (error) => {
      failure = kafkaFailure(action, connection, error);
      if (failure.code === "kafka_refused") throw failure;
    },
    { signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]) },
  );
  if (result !== undefined || signal.aborted) return result?.value;
  throw failure ?? kafkaFailure(action, connection, "no answer in time");
}

/** Consecutive records with the same codec share a batch, so that a duplicate is often in the batch of its original. */
function batches(records: readonly ScenarioRecord[]): ScenarioRecord[][] {
  const result: ScenarioRecord[][] = [];
  let bytes = 0;
  for (const record of records) {
    const size = (record.key?.length ?? 0) + (record.value?.length ?? 0);
    const last = result.at(-1);
    const fits = last !== undefined && bytes + size <= MAX_BATCH_BYTES &&
      last[0]?.codec === record.codec;
    if (fits) last.push(record);
    else result.push([record]);
    bytes = fits ? bytes + size : size;
  }
  return result;
}

async function sendBatch(
  sender: Sender,
  batch: readonly ScenarioRecord[],
  partitions: number,
): Promise<PublishedRecord[]> {
  const byPartition = Map.groupBy(batch, (record) => partitionFor(record, partitions));
  const published = new Map<ScenarioRecord, PublishedRecord>();
  for (const [partition, records] of byPartition) {
    try {
      const { firstOffset } = await sender.send({ partition, records }, batch[0]?.codec ?? "none");
      for (const [index, record] of records.entries()) {
        published.set(record, { record, partition, offset: Number(firstOffset) + index });
      }
    } catch (error) {
      if (!REFUSED_RECORDS.has(findInCauses(error, "apiId"))) throw error;
      const refusal = describeError(error);
      for (const record of records) published.set(record, { record, partition, offset: undefined, refusal });
    }
  }
  return batch.flatMap((record) => published.get(record) ?? []);
}

function partitionFor({ key, partitionShift = 0 }: PlannedRecord, partitions: number): number {
  const own = key === null ? 0 : partitionOf(key, partitions);
  return (own + partitionShift) % partitions;
}
