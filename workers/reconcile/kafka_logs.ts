/** Which offsets the logs hold, asked of Kafka. */
import { Admin } from "@platformatic/kafka";
import { retryUntilAborted } from "../_shared/backoff.ts";
import type { PipelineError } from "../_shared/errors.ts";
import { type KafkaConnection, kafkaFailure } from "../_shared/kafka/client.ts";
import { describeTopic } from "../_shared/kafka/topic.ts";

/** A moved leader is found within a second or two; a broker that is away longer than this is reported as away. */
const PATIENCE_MS = 10_000;
const READ_COMMITTED = 1;
/** Timestamps that Kafka's ListOffsets understands as questions. */
const LATEST = -1n;
const EARLIEST = -2n;

/** One partition of the present incarnation of a topic: it holds [earliest, end). */
export interface KafkaLog {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly earliest: number;
  /** Of what is committed. */
  readonly end: number;
}

/** The logs, or why they are not known; undefined when Kafka was not asked. */
export type KafkaAnswer = readonly KafkaLog[] | PipelineError | undefined;

/**
 * Ends only grow: asked after the database's snapshot, each is at or behind every offset in it.
 *
 * @param connection undefined to leave Kafka out
 * @param known names topics beside the connection's own; those that do not exist are left out
 * @returns an error when Kafka does not answer for ten seconds, or refuses
 */
export async function kafkaLogs(
  connection: KafkaConnection | undefined,
  known: readonly { readonly topic: string }[],
  { signal }: { signal: AbortSignal },
): Promise<KafkaAnswer> {
  if (connection === undefined) return undefined;
  const topics = new Set([connection.topic, ...known.map(({ topic }) => topic)]);
  const admin = new Admin(connection.options);
  const asked = new AbortController();
  let failure = kafkaFailure("read the logs' ends", connection, "no answer");
  try {
    const logs = await retryUntilAborted(
      async () => (await Promise.all([...topics].map((topic) => logsOf(admin, topic)))).flat(),
      (error) => {
        failure = kafkaFailure("read the logs' ends", connection, error);
        if (failure.code === "kafka_refused") asked.abort();
      },
      { signal: AbortSignal.any([signal, asked.signal, AbortSignal.timeout(PATIENCE_MS)]) },
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
    const offsets = new Map(answer?.partitions.map((one) => [one.partitionIndex, Number(one.offset)]));
    return topic.leaders.map((_, partition) => {
      const offset = offsets.get(partition) ?? -1;
      if (offset < 0) throw new Error(`no offset was given for partition ${partition}`);
      return offset;
    });
  };
  const earliest = await offsetsAt(EARLIEST);
  const ends = await offsetsAt(LATEST);
  // Offsets are asked for by the topic's name: only the id, unchanged afterwards, says whose they are.
  if ((await describeTopic(admin, name))?.id !== topic.id) {
    throw new Error(`topic ${name} was replaced just now`);
  }
  return ends.map((end, partition) => {
    return { topic: name, topicId: topic.id, partition, earliest: earliest[partition] ?? 0, end };
  });
}
