/** Publishes the records and remembers where each of them lies in Kafka. */
import { retryUntilAborted } from "../_shared/backoff.ts";
import { describeError, findInCauses, PipelineError } from "../_shared/errors.ts";
import { type KafkaConnection, kafkaFailure } from "../_shared/kafka/client.ts";
import { describeTopic } from "../_shared/kafka/topic.ts";
import { REFUSED_RECORDS } from "../_shared/kafka/error_codes.ts";
import { partitionOf } from "../_shared/kafka/partitioner.ts";
import { Sender } from "../_shared/kafka/sender.ts";
import type { PlannedRecord } from "./catalogue/scenario.ts";

/** Under the million bytes that brokers accept by default. */
const MAX_BATCH_BYTES = 512 * 1024;

/** A record with the scenario that it belongs to. */
export interface ScenarioRecord extends PlannedRecord {
  readonly scenario: string;
}

export interface PublishedRecord {
  readonly record: ScenarioRecord;
  readonly partition: number;
  /** Undefined when Kafka refused the record; then `refusal` says why. */
  readonly offset: number | undefined;
  readonly refusal?: string;
}

export interface Publication {
  /** Of the topic's incarnation that the records lie in. */
  readonly topicId: string;
  readonly records: readonly PublishedRecord[];
}

export interface PublishOptions {
  readonly signal: AbortSignal;
  /** Kafka may be away, and the consumers busy, for so long. */
  readonly timeoutMs: number;
}

/**
 * Resolves when every record is acknowledged by all in-sync replicas, or refused for what it is.
 *
 * @returns undefined when `signal` aborted first
 * @throws PipelineError when the topic does not exist, or Kafka is away for longer than the timeout
 */
export async function publish(
  connection: KafkaConnection,
  records: readonly ScenarioRecord[],
  options: PublishOptions,
): Promise<Publication | undefined> {
  const sender = new Sender(connection);
  try {
    const topic = await patiently("read the topic", connection, options, async () => {
      return { found: await describeTopic(sender.client, connection.topic) };
    });
    if (topic === undefined) return undefined;
    if (topic.found === undefined) {
      throw new PipelineError(
        "topic_missing",
        `Cannot publish: topic ${connection.topic} does not exist; create it, or start the producer, which does`,
      );
    }
    const { id: topicId, leaders } = topic.found;
    const published: PublishedRecord[] = [];
    for (const batch of batches(records)) {
      const send = () => sendBatch(sender, batch, leaders.length);
      const sent = await patiently("publish", connection, options, send);
      if (sent === undefined) return undefined;
      published.push(...sent);
    }
    return { topicId, records: published };
  } finally {
    await sender[Symbol.asyncDispose]().catch(() => {});
  }
}

/** A retry may publish a batch twice: then the first copy is a bystander, and what is looked up is the second. */
async function patiently<T>(
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
  throw failure ?? kafkaFailure(action, connection, "there was no answer in time");
}

/** Neighbours of one codec travel together, so that duplicates meet in one batch, up to what a broker takes. */
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

/** As Java's partitioner does it, which most clients follow: the customer's real records meet ours. */
function partitionFor({ key, partitionShift = 0 }: PlannedRecord, partitions: number): number {
  const own = key === null ? 0 : partitionOf(key, partitions);
  return (own + partitionShift) % partitions;
}
