import { Admin, type Base, ConfigResourceTypes, type Consumer } from "@platformatic/kafka";
import { sleep } from "../backoff.ts";
import { describeError, findInCauses } from "../errors.ts";
import type { KafkaConnection } from "./client.ts";
import type { Offset } from "./records.ts";

export const NO_LEADER = -1;

export type TopicDescription = Readonly<NonNullable<Awaited<ReturnType<typeof describeTopic>>>>;

/** Asks a broker, without the client's cache. Undefined if the topic does not exist. */
export async function describeTopic(client: Pick<Base, "metadata">, topic: string) {
  try {
    const metadata = await client.metadata({ topics: [topic], forceUpdate: true });
    const found = metadata.topics.get(topic);
    if (found === undefined) return undefined;
    // Every topic has partitions, so the broker does not know this topic yet.
    if (found.partitions.length === 0) throw new Error(`no partition was given of topic ${topic}`);
    return {
      /** Changes when the topic is deleted and created again under the same name. */
      id: found.id,
      /** For each partition, the node id of its leader, or NO_LEADER. */
      leaders: found.partitions.map(({ leader }) => leader),
      /** For each partition, the epoch of its leader, or -1 while it is unknown. */
      leaderEpochs: found.partitions.map(({ leaderEpoch }) => leaderEpoch),
      brokers: metadata.brokers,
    };
  } catch (error) {
    if (findInCauses(error, "apiId") === "UNKNOWN_TOPIC_OR_PARTITION") return undefined;
    // The client replaces the broker's error with one that has only this text.
    if (describeError(error).includes("Unknown topic")) return undefined;
    throw error;
  }
}

/** Uses the brokers' default replication factor. Returns false if the topic exists already. */
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

export interface TopicIdPartition {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
}

/** Offsets from `earliest` up to, but not including, `end`. */
export type LogRange = Readonly<Awaited<ReturnType<typeof logRange>>>;

// Special timestamps of ListOffsets. A read_committed client gets the last stable offset for LATEST.
const LATEST = -1n;
const EARLIEST = -2n;

/** @throws if Kafka does not respond, or the topic id is not the one of `log` */
export async function logRange(client: Consumer, log: TopicIdPartition) {
  const partitions = { [log.topic]: [log.partition] };
  const offsetAt = async (timestamp: bigint) => {
    const offsets = await client.listOffsets({ topics: [log.topic], partitions, timestamp });
    return offsetIn(offsets, log.topic, log.partition);
  };
  const range = { earliest: await offsetAt(EARLIEST), end: await offsetAt(LATEST) };
  // ListOffsets takes a topic name. If the topic id is still the same, the offsets belong to that topic.
  const topic = await describeTopic(client, log.topic);
  if (topic?.id !== log.topicId) throw new Error(`topic ${log.topic} was replaced in the meantime`);
  return range;
}

/** @throws if Kafka does not answer for each partition */
export async function lastStableOffsets(
  client: Pick<Consumer, "listOffsets">,
  topic: string,
  partitions: number,
): Promise<readonly Offset[]> {
  const offsets = await client.listOffsets({ topics: [topic], timestamp: LATEST });
  return Array.from({ length: partitions }, (_, partition) => offsetIn(offsets, topic, partition));
}

/** Returns null for a partition whose leader does not answer in time. Each leader gets its own request, so that none delays others. */
export async function knownLastStableOffsets(
  client: Pick<Consumer, "listOffsets">,
  { name, leaders }: { name: string; leaders: readonly number[] },
  partitions: readonly number[],
  { withinMs, signal }: { withinMs: number; signal: AbortSignal },
): Promise<(Offset | null)[]> {
  const known = new Map<number, Offset>();
  const led = partitions.filter((partition) => (leaders[partition] ?? NO_LEADER) >= 0);
  const asked = [...Map.groupBy(led, (partition) => leaders[partition]).values()].map(async (ofLeader) => {
    const offsets = await client.listOffsets({
      topics: [name],
      partitions: { [name]: ofLeader },
      timestamp: LATEST,
    });
    for (const partition of ofLeader) known.set(partition, offsetIn(offsets, name, partition));
  });
  if (asked.length > 0) await Promise.race([Promise.allSettled(asked), sleep(withinMs, { signal })]);
  return partitions.map((partition) => known.get(partition) ?? null);
}

function offsetIn(offsets: ReadonlyMap<string, bigint[]>, topic: string, partition: number): Offset {
  const offset = offsets.get(topic)?.[partition] ?? -1n;
  if (offset < 0n) throw new Error(`no offset was given for partition ${partition} of ${topic}`);
  return Number(offset);
}

const CLEANUP_POLICY = "cleanup.policy";
const REMOTE_STORAGE = "remote.storage.enable";

/**
 * Compaction explains an empty end of a log only if the topic is compacted and its records are on the broker's own disks.
 *
 * @returns undefined, or why compaction does not explain it
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
    const setting = (name: string) =>
      topic?.configs.find((config) => config.name === name)?.value ?? "unknown";
    const policy = setting(CLEANUP_POLICY);
    if (!policy.split(",").some((name) => name.trim() === "compact")) {
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
