/** Topics: their partitions and who leads them, the offsets that a log holds, and what decides whether it may end in nothing. */
import {
  Admin,
  type Base,
  type ClusterMetadata,
  ConfigResourceTypes,
  type Consumer,
} from "@platformatic/kafka";
import { describeError, findInCauses } from "../errors.ts";
import type { KafkaConnection } from "./client.ts";
import type { Offset } from "./records.ts";

export interface TopicDescription {
  /** Changes when a topic is deleted and made again, though its name does not. */
  readonly id: string;
  /** Node that leads each partition, by partition; -1 while there is none. */
  readonly leaders: readonly number[];
  /** How many leaders each partition had before, by partition; -1 while it is not known. */
  readonly leaderEpochs: readonly number[];
  readonly brokers: ClusterMetadata["brokers"];
}

/** Asks a broker anew; undefined when there is no such topic. */
export async function describeTopic(
  client: Pick<Base, "metadata">,
  topic: string,
): Promise<TopicDescription | undefined> {
  try {
    const metadata = await client.metadata({ topics: [topic], forceUpdate: true });
    const found = metadata.topics.get(topic);
    if (found === undefined) return undefined;
    // A broker that names none does not know the topic well: there is no topic without partitions.
    if (found.partitions.length === 0) throw new Error(`no partition was given of topic ${topic}`);
    return {
      id: found.id,
      leaders: found.partitions.map(({ leader }) => leader),
      leaderEpochs: found.partitions.map(({ leaderEpoch }) => leaderEpoch),
      brokers: metadata.brokers,
    };
  } catch (error) {
    if (isUnknownTopic(error)) return undefined;
    throw error;
  }
}

/** The client turns the protocol's UNKNOWN_TOPIC_OR_PARTITION into an error that has only this text. */
function isUnknownTopic(error: unknown): boolean {
  return findInCauses(error, "apiId") === "UNKNOWN_TOPIC_OR_PARTITION" ||
    describeError(error).includes("Unknown topic");
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
export interface LogName {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
}

/** The offsets that the log holds: [earliest, end). */
export interface LogRange {
  readonly earliest: Offset;
  readonly end: Offset;
}

/** Timestamps that Kafka's ListOffsets understands as questions. */
const LATEST = -1n;
const EARLIEST = -2n;

/**
 * Asks for the earliest offset of a log and the end of what is committed in it.
 *
 * @throws when Kafka does not answer, or the topic is another incarnation than the one asked about
 */
export async function logRange(client: Consumer, log: LogName): Promise<LogRange> {
  const range = {
    earliest: await offsetAt(client, log, EARLIEST),
    end: await offsetAt(client, log, LATEST),
  };
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
export async function endOffsets(
  client: Pick<Consumer, "listOffsets">,
  topic: string,
  partitions: number,
): Promise<readonly Offset[]> {
  const offsets = (await client.listOffsets({ topics: [topic], timestamp: LATEST })).get(topic) ?? [];
  return Array.from({ length: partitions }, (_, partition) => given(offsets[partition], topic, partition));
}

function given(offset: bigint | undefined, topic: string, partition: number): Offset {
  if (offset === undefined || offset < 0n) {
    throw new Error(`no offset was given for partition ${partition} of ${topic}`);
  }
  return Number(offset);
}

async function offsetAt(client: Consumer, { topic, partition }: LogName, timestamp: bigint): Promise<Offset> {
  const offsets = await client.listOffsets({
    topics: [topic],
    partitions: { [topic]: [partition] },
    timestamp,
  });
  return given(offsets.get(topic)?.[partition], topic, partition);
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
    return remote === "false"
      ? undefined
      : `its records may be in tiered storage (${REMOTE_STORAGE} is ${remote})`;
  } catch (error) {
    return `the topic's settings cannot be read (${
      describeError(error)
    }; the right DescribeConfigs is needed)`;
  } finally {
    await admin.close().catch(() => {});
  }
}
