/** Topics: their partitions and who leads them, the offsets that a log holds, and what decides whether it may end in nothing. */
import { Admin, type Base, ConfigResourceTypes, type Consumer } from "@platformatic/kafka";
import { sleep } from "../backoff.ts";
import { describeError, findInCauses } from "../errors.ts";
import type { KafkaConnection } from "./client.ts";
import type { Offset } from "./records.ts";

/** In place of the number of a partition's leader. */
export const NO_LEADER = -1;

export type TopicDescription = Readonly<NonNullable<Awaited<ReturnType<typeof describeTopic>>>>;

/** Asks a broker anew; undefined when there is no such topic. */
export async function describeTopic(client: Pick<Base, "metadata">, topic: string) {
  try {
    const metadata = await client.metadata({ topics: [topic], forceUpdate: true });
    const found = metadata.topics.get(topic);
    if (found === undefined) return undefined;
    // A broker that names none does not know the topic well: there is no topic without partitions.
    if (found.partitions.length === 0) throw new Error(`no partition was given of topic ${topic}`);
    return {
      /** Changes when a topic is deleted and made again, though its name does not. */
      id: found.id,
      /** Node that leads each partition, by partition; NO_LEADER while there is none. */
      leaders: found.partitions.map(({ leader }) => leader),
      /** How many leaders each partition had before, by partition; -1 while it is not known. */
      leaderEpochs: found.partitions.map(({ leaderEpoch }) => leaderEpoch),
      brokers: metadata.brokers,
    };
  } catch (error) {
    if (findInCauses(error, "apiId") === "UNKNOWN_TOPIC_OR_PARTITION") return undefined;
    // The client turns that into an error that has only this text.
    if (describeError(error).includes("Unknown topic")) return undefined;
    throw error;
  }
}

/** Makes a topic with the brokers' default replication; false when somebody else made it in the meantime. */
export async function createTopic(connection: KafkaConnection, partitions: number): Promise<boolean> {
  const admin = new Admin(connection.options);
  try {
    await admin.createTopics({ topics: [connection.topic], partitions, replicas: -1 });
    return true;
  } catch (error) {
    if (findInCauses(error, "apiId") === "TOPIC_ALREADY_EXISTS") return false;
    throw error;
  } finally {
    await admin.close();
  }
}

/** A partition of one incarnation of a topic. */
export interface TopicIdPartition {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
}

/** The offsets that the log holds: [earliest, end). */
export type LogRange = Readonly<Awaited<ReturnType<typeof logRange>>>;

/** Timestamps that Kafka's ListOffsets understands as questions. */
const LATEST = -1n;
const EARLIEST = -2n;

/**
 * Asks for the earliest offset of a log and the end of what is committed in it.
 *
 * @throws when Kafka does not answer, or the topic is another incarnation than the one asked about
 */
export async function logRange(client: Consumer, log: TopicIdPartition) {
  const partitions = { [log.topic]: [log.partition] };
  const at = async (timestamp: bigint) => {
    const offsets = await client.listOffsets({ topics: [log.topic], partitions, timestamp });
    return given(offsets, log.topic, log.partition);
  };
  const range = { earliest: await at(EARLIEST), end: await at(LATEST) };
  // Offsets are asked for by the topic's name: only the id, unchanged afterwards, says whose they are.
  const topic = await describeTopic(client, log.topic);
  if (topic?.id !== log.topicId) throw new Error(`topic ${log.topic} was replaced in the meantime`);
  return range;
}

/**
 * The committed end of each partition; the index is the partition.
 *
 * @throws when Kafka does not answer, or not for each of so many partitions
 */
export async function lastStableOffsets(
  client: Pick<Consumer, "listOffsets">,
  topic: string,
  partitions: number,
): Promise<readonly Offset[]> {
  const offsets = await client.listOffsets({ topics: [topic], timestamp: LATEST });
  return Array.from({ length: partitions }, (_, partition) => given(offsets, topic, partition));
}

/**
 * The committed end of each of these partitions; null where it has no leader, or its leader does not answer in time. Each
 * leader is asked by a request of its own, so that one that is away hides no other's ends.
 *
 * @param topic its name, and the node that leads each partition
 */
export async function knownLastStableOffsets(
  client: Pick<Consumer, "listOffsets">,
  { name, leaders }: { name: string; leaders: readonly number[] },
  partitions: readonly number[],
  { withinMs, signal }: { withinMs: number; signal: AbortSignal },
): Promise<(Offset | null)[]> {
  const known = new Map<number, Offset>();
  const led = partitions.filter((partition) => (leaders[partition] ?? -1) >= 0);
  const asked = [...Map.groupBy(led, (partition) => leaders[partition]).values()].map(async (of) => {
    const offsets = await client.listOffsets({
      topics: [name],
      partitions: { [name]: of },
      timestamp: LATEST,
    });
    for (const partition of of) known.set(partition, given(offsets, name, partition));
  });
  if (asked.length > 0) await Promise.race([Promise.allSettled(asked), sleep(withinMs, { signal })]);
  return partitions.map((partition) => known.get(partition) ?? null);
}

function given(offsets: ReadonlyMap<string, bigint[]>, topic: string, partition: number): Offset {
  const offset = offsets.get(topic)?.[partition] ?? -1n;
  if (offset < 0n) throw new Error(`no offset was given for partition ${partition} of ${topic}`);
  return Number(offset);
}

const CLEANUP_POLICY = "cleanup.policy";
const REMOTE_STORAGE = "remote.storage.enable";

/**
 * Asks a broker whether compaction is the only explanation for a log whose end is empty: the topic is compacted, and the
 * broker has all of its records on its own disks.
 *
 * @returns why not, which includes that the settings cannot be read; undefined when it is
 */
export async function whyNotCompaction(connection: KafkaConnection): Promise<string | undefined> {
  const admin = new Admin(connection.options);
  try {
    const [topic] = await admin.describeConfigs({
      resources: [{
        resourceType: ConfigResourceTypes.TOPIC,
        resourceName: connection.topic,
        configurationKeys: [CLEANUP_POLICY, REMOTE_STORAGE],
      }],
    });
    const setting = (name: string) => topic?.configs.find((one) => one.name === name)?.value ?? "unknown";
    const policy = setting(CLEANUP_POLICY);
    if (!policy.split(",").some((one) => one.trim() === "compact")) {
      return `the topic is not compacted (${CLEANUP_POLICY} is ${policy})`;
    }
    const remote = setting(REMOTE_STORAGE);
    if (remote === "false") return undefined;
    return `its records may be in tiered storage (${REMOTE_STORAGE} is ${remote})`;
  } catch (error) {
    const why = describeError(error);
    return `the topic's settings cannot be read (${why}; the right DescribeConfigs is needed)`;
  } finally {
    await admin.close().catch(() => {});
  }
}
