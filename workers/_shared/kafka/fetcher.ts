/**
 * Asks one broker for records, by the topic's id: what comes back belongs to exactly the incarnation asked for. Of the
 * answer the records are left as the bytes that came: the client's own reading makes an object and two buffers of each.
 */
import { Buffer } from "node:buffer";
import {
  type API,
  type Base,
  ConnectionPool,
  createAPI,
  fetchV13,
  fetchV17,
  type Reader,
  readKnownTaggedFields,
} from "@platformatic/kafka";
import { type KafkaConnection, negotiate } from "./client.ts";
import type { Offset } from "./records.ts";

export interface FetchTarget {
  readonly partition: number;
  readonly offset: Offset;
  /** Of the last record before `offset`; -1 when it is not known. */
  readonly lastEpoch: number;
  /** In which the broker must lead the partition to answer; -1 for any. */
  readonly requiredEpoch: number;
  /** Of the answer; its first batch comes whole, however large, when nothing of another partition comes before it. */
  readonly maxBytes: number;
}

export interface FetchLimits {
  /** How long the broker may wait for the first record, milliseconds. */
  readonly maxWaitMs: number;
  readonly maxBytes: number;
}

/** Number of the request in Kafka's protocol. */
const FETCH = 1;
const READ_COMMITTED = 1;
/** The protocol's "no fetch session": every request is complete in itself, so there is no state to get out of step. */
const NO_SESSION = [0, -1] as const;
const NOTHING = Buffer.alloc(0);

type Fetch = API<Parameters<typeof fetchV17.createRequest>, FetchAnswer>;

const parse = (_id: number, _api: number, _version: number, reader: Reader) => readFetchResponse(reader);

/** From 15 on requests are written alike, and those before; the answers of all are read the same way. */
const VERSIONS = [17, 16, 15, 14, 13].map((version): Fetch =>
  createAPI(FETCH, version, (version < 15 ? fetchV13 : fetchV17).createRequest, parse)
);

/** Connections of their own, one a broker: a long poll on the group's connection would hold its heartbeats back. */
export class Fetcher implements AsyncDisposable {
  readonly #pool: ConnectionPool;
  #fetch: Fetch | undefined;

  /** @param client answers which protocol versions the brokers speak */
  constructor({ options }: KafkaConnection, private readonly client: Pick<Base, "listApis">) {
    this.#pool = new ConnectionPool(options.clientId, options);
  }

  /**
   * Fetches committed records.
   *
   * @throws the client's errors when the broker did not answer, or answered what cannot be read
   */
  async fetch(
    broker: { host: string; port: number },
    topicId: string,
    targets: readonly FetchTarget[],
    { maxWaitMs, maxBytes }: FetchLimits,
  ): Promise<FetchAnswer> {
    const fetch = this.#fetch ??= await negotiate(this.client, "Fetch", VERSIONS);
    const connection = await this.#pool.get(broker);
    const partitions = targets.map(({ partition, offset, lastEpoch, requiredEpoch, maxBytes }) => ({
      partition,
      currentLeaderEpoch: requiredEpoch,
      fetchOffset: BigInt(offset),
      lastFetchedEpoch: lastEpoch,
      partitionMaxBytes: maxBytes,
    }));
    const topics = [{ topicId, partitions }];
    const answer = await fetch
      .async(connection, maxWaitMs, 1, maxBytes, READ_COMMITTED, ...NO_SESSION, topics, [], "");
    if (answer.errorCode !== 0) {
      throw new Error(`a fetch was answered with Kafka's error code ${answer.errorCode}`);
    }
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.close().catch(() => {});
  }
}

export type FetchAnswer = Readonly<ReturnType<typeof readFetchResponse>>;

/** A partition's part of the answer. */
export type FetchedPartition = Readonly<ReturnType<typeof readPartition>>;

/** The newest epoch up to ours that the broker has records of, and the offset where they end. */
export type Divergence = NonNullable<FetchedPartition["divergence"]>;

/** Reads versions 13 to 17, which differ in optional fields only. Layout: https://kafka.apache.org/protocol#The_Messages_Fetch */
export function readFetchResponse(reader: Reader) {
  /** The broker held records back to slow us down: an empty answer proves nothing then. */
  const throttled = reader.readInt32() > 0;
  const errorCode = reader.readInt16();
  reader.readInt32(); // the fetch session, of which we have none
  const topics = reader.readArray((topic) => {
    topic.readUUID();
    return topic.readArray(readPartition, true, false);
  });
  return { throttled, errorCode, partitions: topics.flat() };
}

function readPartition(reader: Reader) {
  const partition = reader.readInt32();
  const errorCode = reader.readInt16();
  reader.readInt64(); // the high watermark, which open transactions may lie below
  const lastStableOffset: Offset = Number(reader.readInt64());
  reader.readInt64(); // the log's start
  const abortedTransactions = reader.readArray((transaction) => ({
    producerId: transaction.readInt64(),
    firstOffset: Number(transaction.readInt64()),
  }));
  reader.readInt32(); // the replica that would rather be read
  // A compact length: one more than it is, 0 for null.
  const length = Math.max(0, reader.readUnsignedVarInt() - 1);
  const records = length === 0 ? NOTHING : reader.buffer.slice(reader.position, reader.position + length);
  reader.skip(length);
  let divergence: { readonly epoch: number; readonly endOffset: Offset } | undefined;
  readKnownTaggedFields(reader, {
    0: (field) => {
      const [epoch, endOffset] = [field.readInt32(), Number(field.readInt64())];
      if (endOffset >= 0) divergence = { epoch, endOffset };
    },
  });
  return {
    partition,
    /** 0 for none; codes of https://kafka.apache.org/protocol#protocol_error_codes */
    errorCode,
    /** The end of what is committed. */
    lastStableOffset,
    abortedTransactions,
    /** What the log has instead of what we read; undefined when it has what we read. */
    divergence,
    /** Record batches, the last of which may be cut off. */
    records,
  };
}
