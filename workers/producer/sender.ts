/** Sends batches to the leaders of their partitions, over the client's connections. */
import type { Buffer } from "node:buffer";
import {
  type API,
  Base,
  createAPI,
  produceV10,
  produceV11,
  produceV9,
  ProtocolError,
  Writer,
} from "@platformatic/kafka";
import { PipelineError } from "../_shared/errors.ts";
import { describeTopic, type KafkaConnection, type TopicDescription } from "../_shared/kafka/client.ts";
import { bearLeaderless } from "../_shared/kafka/leaderless.ts";
import type { Batch } from "./deliver.ts";
import { type Compression, encodeBatch } from "./record_batch.ts";

/** Number of the request in Kafka's protocol. */
const PRODUCE = 0;
const ALL_IN_SYNC_REPLICAS = -1;
/** How long the broker may wait for the other replicas; shorter than we wait for its answer. */
const REPLICATION_TIMEOUT_MS = 5_000;

/** What every version's answer holds. */
interface Answer {
  readonly responses: readonly { readonly partitionResponses: readonly { readonly baseOffset: bigint }[] }[];
}

type Produce = API<[topic: string, partition: number, batch: Buffer], Answer>;

/** All ask in the same way; their answers differ in optional fields. */
const VERSIONS: readonly Produce[] = [
  createAPI(PRODUCE, 11, createRequest, produceV11.parseResponse),
  createAPI(PRODUCE, 10, createRequest, produceV10.parseResponse),
  createAPI(PRODUCE, 9, createRequest, produceV9.parseResponse),
];

/** Layout: https://kafka.apache.org/protocol#The_Messages_Produce */
function createRequest(topic: string, partition: number, batch: Buffer): Writer {
  return Writer.create()
    .appendString(null) // no transaction
    .appendInt16(ALL_IN_SYNC_REPLICAS)
    .appendInt32(REPLICATION_TIMEOUT_MS)
    .appendArray([topic], (topics, name) => {
      topics.appendString(name).appendArray([partition], (partitions, index) => {
        // A compact length: one more than it is.
        partitions.appendInt32(index).appendUnsignedVarInt(batch.length + 1).append(batch);
      });
    })
    .appendTaggedFields();
}

/** What was found out about the topic and its brokers. */
interface Route {
  readonly topic: TopicDescription;
  readonly produce: Produce;
}

/** Where a batch is in the log. */
export interface Place {
  readonly partition: number;
  /** Of its first record. */
  readonly firstOffset: bigint;
}

export class Sender {
  /** For questions about topics. */
  readonly client: Base;
  readonly #topic: string;
  readonly #compression: Compression;
  #route: Promise<Route> | undefined;

  constructor(connection: KafkaConnection, compression: Compression) {
    this.client = bearLeaderless(new Base(connection.options));
    this.#topic = connection.topic;
    this.#compression = compression;
  }

  /**
   * One try; resolves when all in-sync replicas have the batch. It goes to another partition than it was meant for when
   * there is no such one any more: a topic that was made again may have fewer.
   *
   * @throws the client's errors; unless one is the broker's own refusal, the batch may be in the log all the same
   */
  async send({ partition, records }: Batch): Promise<Place> {
    const route = this.#route ??= this.#findRoute();
    try {
      const { topic, produce } = await route;
      const to = partition % topic.leaders.length;
      const leader = topic.brokers.get(topic.leaders[to] ?? -1);
      if (leader === undefined) throw new ProtocolError("LEADER_NOT_AVAILABLE");
      const connection = await this.client.connections.get(leader);
      const batch = await encodeBatch(records, this.#compression);
      const { responses: [answered] } = await produce.async(connection, this.#topic, to, batch);
      const [first] = answered?.partitionResponses ?? [];
      if (first === undefined) throw new Error("the broker's answer does not name the partition");
      return { partition: to, firstOffset: first.baseOffset };
    } catch (error) {
      // Whoever led the partition may not lead it any more. Another try may have found the new one meanwhile.
      if (this.#route === route) this.#route = undefined;
      throw error;
    }
  }

  async #findRoute(): Promise<Route> {
    const [topic, apis] = await Promise.all([
      describeTopic(this.client, this.#topic),
      this.client.listApis(),
    ]);
    if (topic === undefined) throw new ProtocolError("UNKNOWN_TOPIC_OR_PARTITION");
    const range = apis.find(({ name }) => name === "Produce");
    const produce = VERSIONS.find(({ version }) => {
      return range !== undefined && version >= range.minVersion && version <= range.maxVersion;
    });
    if (produce === undefined) {
      throw new PipelineError(
        "kafka_refused",
        `Cannot publish to Kafka: its brokers speak Produce up to version ${range?.maxVersion}, expected 9 or later; ` +
          "tested are Kafka 3.9, 4.0 and 4.4",
      );
    }
    return { topic, produce };
  }

  async close(): Promise<void> {
    await this.client.close();
  }
}
