import type { Buffer } from "node:buffer";
import { type API, Base, createAPI, produceV9, ProtocolError, Writer } from "@platformatic/kafka";
import { type Compression, type Content, encodeBatch } from "./batch_writer.ts";
import { type KafkaConnection, negotiate } from "./client.ts";
import { describeTopic, type TopicDescription } from "./topic.ts";
import { tolerateLeaderlessPartitions } from "./client_patches.ts";

const PRODUCE = 0;
const ALL_IN_SYNC_REPLICAS = -1;
/** Shorter than the client's request timeout, so that the broker's answer arrives in time. */
const REPLICATION_TIMEOUT_MS = 5_000;

/** At most one batch for each partition, because the response identifies a batch only by its partition. */
export type Batches = readonly (readonly [partition: number, batch: Buffer])[];
type Produce = API<[topic: string, batches: Batches], ReturnType<typeof produceV9.parseResponse>>;

/** All versions have the same request. Their responses differ in optional fields, which the oldest parser skips. */
const VERSIONS = [11, 10, 9].map((version): Produce =>
  createAPI(PRODUCE, version, createRequest, produceV9.parseResponse)
);

/** Layout: https://kafka.apache.org/protocol#The_Messages_Produce */
function createRequest(topic: string, batches: Batches): Writer {
  return Writer.create()
    .appendString(null) // transactional id
    .appendInt16(ALL_IN_SYNC_REPLICAS)
    .appendInt32(REPLICATION_TIMEOUT_MS)
    .appendArray([topic], (topics, name) => {
      topics.appendString(name).appendArray([...batches], (partitions, [index, batch]) => {
        // A compact length is one more than the length.
        partitions.appendInt32(index).appendUnsignedVarInt(batch.length + 1).append(batch);
      });
    })
    .appendTaggedFields();
}

export interface BatchPosition {
  readonly partition: number;
  readonly firstOffset: bigint;
}

export class Sender implements AsyncDisposable {
  readonly client: Base;
  #route: Promise<{ readonly topic: TopicDescription; readonly produce: Produce }> | undefined;

  constructor(
    private readonly connection: Pick<KafkaConnection, "topic" | "options">,
    private readonly compression: Compression = "none",
  ) {
    this.client = tolerateLeaderlessPartitions(new Base(connection.options));
  }

  /** @param records must contain at least one record */
  async send(
    { partition, records }: { partition: number; records: readonly Content[] },
    compression = this.compression,
  ): Promise<BatchPosition> {
    const [position] = await this.sendBatches([[partition, await encodeBatch(records, compression)]]);
    if (position === undefined) throw new Error("the broker's answer does not name the partition");
    return position;
  }

  /**
   * Sends one request to each leader, once, and waits for all in-sync replicas.
   *
   * @throws the client's errors; a batch that the broker did not refuse may be in the log nevertheless
   */
  async sendBatches(batches: Batches): Promise<BatchPosition[]> {
    const route = this.#route ??= this.#findRoute();
    try {
      const { topic, produce } = await route;
      // A topic that was created again may have fewer partitions.
      const existing = batches.map(([partition, batch]) =>
        [partition % topic.leaders.length, batch] as const
      );
      const byLeader = Map.groupBy(existing, ([partition]) => topic.leaders[partition] ?? -1);
      const answers = await Promise.all([...byLeader].map(async ([node, leaderBatches]) => {
        const leader = topic.brokers.get(node);
        if (leader === undefined) throw new ProtocolError("LEADER_NOT_AVAILABLE");
        return await produce.async(
          await this.client.connections.get(leader),
          this.connection.topic,
          leaderBatches,
        );
      }));
      return answers.flatMap(({ responses }) => responses).flatMap(({ partitionResponses }) =>
        partitionResponses.map(({ index, baseOffset }) => ({ partition: index, firstOffset: baseOffset }))
      );
    } catch (error) {
      // The leader may have moved. A concurrent call may have found the new one already.
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
