/** Which offsets the logs hold, asked of Kafka. */
import { Admin } from "@platformatic/kafka";
import { insist } from "../_shared/backoff.ts";
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

/**
 * @param topics those that do not exist are left out
 * @throws PipelineError when Kafka does not answer for ten seconds, or refuses
 */
export async function kafkaLogs(
  connection: KafkaConnection,
  topics: readonly string[],
  { signal }: { signal: AbortSignal },
): Promise<readonly KafkaLog[]> {
  const admin = new Admin(connection.options);
  const patience = AbortSignal.timeout(PATIENCE_MS);
  let failure = kafkaFailure("read the logs' ends", connection, "no answer");
  try {
    const logs = await insist(
      async () => (await Promise.all(topics.map((topic) => logsOf(admin, topic)))).flat(),
      (error) => {
        failure = kafkaFailure("read the logs' ends", connection, error);
        if (failure.code === "kafka_refused") throw failure;
      },
      { signal: AbortSignal.any([signal, patience]) },
    );
    if (logs === undefined) throw failure;
    return logs;
  } finally {
    await admin.close().catch(() => {});
  }
}

async function logsOf(admin: Admin, name: string): Promise<KafkaLog[]> {
  const topic = await describeTopic(admin, name);
  if (topic === undefined) return [];
  const offsetsAt = async (timestamp: bigint) => {
    const partitions = topic.leaders.map((_, partitionIndex) => ({ partitionIndex, timestamp }));
    const answer = await admin.listOffsets({
      topics: [{ name, partitions }],
      isolationLevel: READ_COMMITTED,
    });
    return new Map(
      answer[0]?.partitions.map(({ partitionIndex, offset }) => [partitionIndex, Number(offset)]),
    );
  };
  const earliest = await offsetsAt(EARLIEST);
  const ends = await offsetsAt(LATEST);
  // Offsets are asked for by the topic's name: only the id, unchanged afterwards, says whose they are.
  if ((await describeTopic(admin, name))?.id !== topic.id) {
    throw new Error(`topic ${name} was replaced just now`);
  }
  return topic.leaders.map((_, partition) => ({
    topic: name,
    topicId: topic.id,
    partition,
    earliest: offsetOf(earliest, partition),
    end: offsetOf(ends, partition),
  }));
}

function offsetOf(offsets: ReadonlyMap<number, number>, partition: number): number {
  const offset = offsets.get(partition);
  if (offset === undefined || offset < 0) throw new Error(`no offset was given for partition ${partition}`);
  return offset;
}
