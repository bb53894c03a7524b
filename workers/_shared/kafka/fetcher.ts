/**
 * Fetches from one broker by topic id, so that the records belong to exactly that incarnation of the topic. It returns them as
 * raw bytes, because the client's reader makes an object and two buffers for each record.
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
  /** Leader epoch of the record before `offset`, or -1 if unknown. The broker compares it with its own log. */
  readonly lastEpoch: number;
  /** The leader's current epoch, or -1 for any. */
  readonly requiredEpoch: number;
  /** The broker sends the first record batch of a response even if it is larger. */
  readonly maxBytes: number;
}

export interface FetchLimits {
  readonly maxWaitMs: number;
  readonly maxBytes: number;
}

const FETCH = 1;
const MIN_BYTES = 1;
const READ_COMMITTED = 1;
/** Session id and epoch of a full fetch. Without a fetch session, broker and consumer have no state that can differ. */
const NO_SESSION = [0, -1] as const;
const NO_RECORDS = Buffer.alloc(0);

type Fetch = API<Parameters<typeof fetchV17.createRequest>, FetchAnswer>;

const parse = (_id: number, _api: number, _version: number, reader: Reader) => readFetchResponse(reader);

/** Requests have another form from version 15 on. Responses differ only in optional fields. */
const VERSIONS = [17, 16, 15, 14, 13].map((version): Fetch =>
  createAPI(FETCH, version, (version < 15 ? fetchV13 : fetchV17).createRequest, parse)
);

/** Has its own connections, because a long poll on the group's connection would delay heartbeats. */
export class Fetcher implements AsyncDisposable {
  readonly #pool: ConnectionPool;
  #fetch: Fetch | undefined;

  constructor({ options }: KafkaConnection, private readonly client: Pick<Base, "listApis">) {
    this.#pool = new ConnectionPool(options.clientId, options);
  }

  /** @throws the client's errors if the broker does not respond, or responds with malformed bytes */
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
      .async(connection, maxWaitMs, MIN_BYTES, maxBytes, READ_COMMITTED, ...NO_SESSION, topics, [], "");
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

export type FetchedPartition = Readonly<ReturnType<typeof readPartition>>;

/** The end of the broker's largest leader epoch up to `lastEpoch`. From there on, its log differs from the one that was read. */
export type Divergence = NonNullable<FetchedPartition["divergence"]>;

/** Versions 13 to 17. Layout: https://kafka.apache.org/protocol#The_Messages_Fetch */
export function readFetchResponse(reader: Reader) {
  // If a quota holds records back, an empty response proves nothing.
  const throttled = reader.readInt32() > 0;
  const errorCode = reader.readInt16();
  reader.readInt32(); // session id
  const topics = reader.readArray((topic) => {
    topic.readUUID();
    return topic.readArray(readPartition, true, false);
  });
  return { throttled, errorCode, partitions: topics.flat() };
}

function readPartition(reader: Reader) {
  const partition = reader.readInt32();
  const errorCode = reader.readInt16();
  reader.readInt64(); // high watermark
  const lastStableOffset: Offset = Number(reader.readInt64());
  reader.readInt64(); // log start offset
  const abortedTransactions = reader.readArray((transaction) => ({
    producerId: transaction.readInt64(),
    firstOffset: Number(transaction.readInt64()),
  }));
  reader.readInt32(); // preferred read replica
  // A compact length is one more than the length; 0 is null.
  const length = Math.max(0, reader.readUnsignedVarInt() - 1);
  const records = length === 0 ? NO_RECORDS : reader.buffer.slice(reader.position, reader.position + length);
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
    errorCode,
    lastStableOffset,
    abortedTransactions,
    /** Undefined if the broker's log still has the record before `offset`. */
    divergence,
    records,
  };
}
