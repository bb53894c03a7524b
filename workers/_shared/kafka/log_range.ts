/** Which offsets a partition's log holds, asked of Kafka. */
import type { Consumer } from "@platformatic/kafka";
import { describeTopic } from "./client.ts";
import type { Offset } from "./records.ts";

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
