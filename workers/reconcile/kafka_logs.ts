import { Admin } from "@platformatic/kafka";
import { retryUntilAborted } from "../_shared/backoff.ts";
import type { PipelineError } from "../_shared/errors.ts";
import { type KafkaConnection, kafkaFailure } from "../_shared/kafka/client.ts";
import { describeTopic } from "../_shared/kafka/topic.ts";

/** A moved leader is found within 2 s. After this time, a broker counts as unavailable. */
const TIMEOUT_MS = 10_000;
const READ_COMMITTED = 1;
// Special timestamps of the ListOffsets request.
const LATEST = -1n;
const EARLIEST = -2n;

/** One partition of the current incarnation of a topic. It holds the offsets from `earliest` to below `end`. */
export interface KafkaLog {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly earliest: number;
  /** Last stable offset. */
  readonly end: number;
}

/** The logs, or the failure, or undefined if Kafka was not asked. */
export type KafkaAnswer = readonly KafkaLog[] | PipelineError | undefined;

/**
 * @param connection undefined to leave Kafka out
 * @param known the logs of the ledger; their topics are read, too, and topics that do not exist are left out
 * @returns an error if Kafka refuses or does not answer within 10 s
 */
export async function kafkaLogs(
  connection: KafkaConnection | undefined,
  known: readonly { readonly topic: string }[],
  { signal }: { signal: AbortSignal },
): Promise<KafkaAnswer> {
  if (connection === undefined) return undefined;
  const topics = new Set([connection.topic, ...known.map(({ topic }) => topic)]);
  const admin = new Admin(connection.options);
  const refused = new AbortController();
  let failure = kafkaFailure("read the logs' ends", connection, "no answer");
  try {
    const logs = await retryUntilAborted(
      async () => (await Promise.all([...topics].map((topic) => logsOf(admin, topic)))).flat(),
      (error) => {
        failure = kafkaFailure("read the logs' ends", connection, error);
        if (failure.code === "kafka_refused") refused.abort();
      },
      { signal: AbortSignal.any([signal, refused.signal, AbortSignal.timeout(TIMEOUT_MS)]) },
    );
    return logs ?? failure;
  } finally {
    await admin.close().catch(() => {});
  }
}

async function logsOf(admin: Admin, name: string): Promise<KafkaLog[]> {
  const topic = await describeTopic(admin, name);
  if (topic === undefined) return [];
  const offsetsAt = async (timestamp: bigint) => {
    const partitions = topic.leaders.map((_, partitionIndex) => ({ partitionIndex, timestamp }));
    const topics = [{ name, partitions }];
    const [answer] = await admin.listOffsets({ topics, isolationLevel: READ_COMMITTED });
    const offsets = new Map(
      answer?.partitions.map(({ partitionIndex, offset }) => [partitionIndex, Number(offset)]),
    );
    return topic.leaders.map((_, partition) => {
      const offset = offsets.get(partition) ?? -1;
      if (offset < 0) throw new Error(`no offset was given for partition ${partition}`);
      return offset;
    });
  };
  const earliest = await offsetsAt(EARLIEST);
  const ends = await offsetsAt(LATEST);
  // ListOffsets takes a name. An unchanged id proves that the offsets belong to this incarnation.
  if ((await describeTopic(admin, name))?.id !== topic.id) {
    throw new Error(`topic ${name} was replaced just now`);
  }
  return ends.map((end, partition) => {
    return { topic: name, topicId: topic.id, partition, earliest: earliest[partition] ?? 0, end };
  });
}
