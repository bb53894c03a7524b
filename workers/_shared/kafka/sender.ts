/** Sends batches to the leaders of their partitions, over the client's connections. */
import type { Buffer } from "node:buffer";
import { type API, Base, createAPI, produceV9, ProtocolError, Writer } from "@platformatic/kafka";
import { type Compression, type Content, encodeBatch } from "./batch_writer.ts";
import { type KafkaConnection, negotiate } from "./client.ts";
import { describeTopic, type TopicDescription } from "./topic.ts";
import { tolerateLeaderlessPartitions } from "./client_patches.ts";

/** Number of the request in Kafka's protocol. */
const PRODUCE = 0;
const ALL_IN_SYNC_REPLICAS = -1;
/** How long the broker may wait for the other replicas; shorter than we wait for its answer. */
const REPLICATION_TIMEOUT_MS = 5_000;

/** Of different partitions, since an answer names no more. */
export type Batches = readonly (readonly [partition: number, batch: Buffer])[];
type Produce = API<[topic: string, batches: Batches], ReturnType<typeof produceV9.parseResponse>>;

/** All ask in the same way; their answers differ in optional fields, which the oldest one's reader leaves out. */
const VERSIONS = [11, 10, 9].map((version): Produce =>
  createAPI(PRODUCE, version, createRequest, produceV9.parseResponse)
);

/** Layout: https://kafka.apache.org/protocol#The_Messages_Produce */
function createRequest(topic: string, batches: Batches): Writer {
  return Writer.create()
    .appendString(null) // no transaction
    .appendInt16(ALL_IN_SYNC_REPLICAS)
    .appendInt32(REPLICATION_TIMEOUT_MS)
    .appendArray([topic], (topics, name) => {
      topics.appendString(name).appendArray([...batches], (partitions, [index, batch]) => {
        // A compact length: one more than it is.
        partitions.appendInt32(index).appendUnsignedVarInt(batch.length + 1).append(batch);
      });
    })
    .appendTaggedFields();
}

/** Where a batch is in the log. */
export interface BatchPosition {
  readonly partition: number;
  /** Of its first record. */
  readonly firstOffset: bigint;
}

export class Sender implements AsyncDisposable {
  /** For questions about topics. */
  readonly client: Base;
  /** What was found out about the topic and its brokers. */
  #route: Promise<{ readonly topic: TopicDescription; readonly produce: Produce }> | undefined;

  constructor(
    private readonly connection: Pick<KafkaConnection, "topic" | "options">,
    private readonly compression: Compression = "none",
  ) {
    this.client = tolerateLeaderlessPartitions(new Base(connection.options));
  }

  /** Encodes records, at least one, and sends them as {@link sendBatches} does. */
  async send(
    { partition, records }: { partition: number; records: readonly Content[] },
    compression = this.compression,
  ): Promise<BatchPosition> {
    const [place] = await this.sendBatches([[partition, await encodeBatch(records, compression)]]);
    if (place === undefined) throw new Error("the broker's answer does not name the partition");
    return place;
  }

  /**
   * One try, one request to each leader; resolves when all in-sync replicas have the batches. One goes to another partition
   * than it was meant for when there is no such one any more: a topic that was made again may have fewer.
   *
   * @param batches record batches, whole
   * @throws the client's errors; unless one is the broker's own refusal, the batches may be in the log all the same
   */
  async sendBatches(batches: Batches): Promise<BatchPosition[]> {
    const route = this.#route ??= this.#findRoute();
    try {
      const { topic, produce } = await route;
      const placed = batches.map(([partition, batch]) => [partition % topic.leaders.length, batch] as const);
      const byLeader = Map.groupBy(placed, ([partition]) => topic.leaders[partition] ?? -1);
      const answers = await Promise.all([...byLeader].map(async ([node, theirs]) => {
        const leader = topic.brokers.get(node);
        if (leader === undefined) throw new ProtocolError("LEADER_NOT_AVAILABLE");
        return await produce.async(await this.client.connections.get(leader), this.connection.topic, theirs);
      }));
      return answers.flatMap(({ responses }) => responses).flatMap(({ partitionResponses }) =>
        partitionResponses.map(({ index, baseOffset }) => ({ partition: index, firstOffset: baseOffset }))
      );
    } catch (error) {
      // Whoever led the partition may not lead it any more. Another try may have found the new one meanwhile.
      if (this.#route === route) this.#route = undefined;
      throw error;
    }
  }

  async #findRoute() {
    const [topic, produce] = await Promise.all([
      describeTopic(this.client, this.connection.topic),
      negotiate(this.client, "Produce", VERSIONS),
    ]);
    if (topic === undefined) throw new ProtocolError("UNKNOWN_TOPIC_OR_PARTITION");
    return { topic, produce };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
  }
}
