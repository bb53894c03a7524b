/** Asks one broker for records, by the topic's id: what comes back belongs to exactly the incarnation asked for. */
import {
  type Connection,
  ConnectionPool,
  type Consumer,
  fetchV13,
  fetchV14,
  fetchV15,
  fetchV16,
  fetchV17,
  type Writer,
} from "@platformatic/kafka";
import { PipelineError } from "../errors.ts";
import type { KafkaConnection } from "./client.ts";
import { type FetchAnswer, readFetchResponse } from "./fetch_response.ts";
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
const NO_SESSION = { id: 0, epoch: -1 };

/** How each version asks; the answers of all are read the same way. */
const VERSIONS = [
  { version: 17, createRequest: fetchV17.createRequest },
  { version: 16, createRequest: fetchV16.createRequest },
  { version: 15, createRequest: fetchV15.createRequest },
  { version: 14, createRequest: fetchV14.createRequest },
  { version: 13, createRequest: fetchV13.createRequest },
] as const;

type Version = { readonly version: number; readonly createRequest: typeof fetchV17.createRequest };

/** Connections of their own, one a broker: a long poll on the group's connection would hold its heartbeats back. */
export class Fetcher implements AsyncDisposable {
  readonly #pool: ConnectionPool;
  readonly #client: Consumer;
  #version: Version | undefined;

  /** @param client answers which protocol versions the brokers speak */
  constructor(connection: KafkaConnection, client: Consumer) {
    this.#pool = new ConnectionPool(connection.options.clientId, connection.options);
    this.#client = client;
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
    limits: FetchLimits,
  ): Promise<FetchAnswer> {
    const { version, createRequest } = this.#version ??= await this.#negotiate();
    const connection: Connection = await this.#pool.get(broker);
    const partitions = targets.map(({ partition, offset, lastEpoch, requiredEpoch, maxBytes }) => ({
      partition,
      currentLeaderEpoch: requiredEpoch,
      fetchOffset: BigInt(offset),
      lastFetchedEpoch: lastEpoch,
      partitionMaxBytes: maxBytes,
    }));
    const { maxWaitMs, maxBytes } = limits;
    const topics = [{ topicId, partitions }];
    const { id, epoch } = NO_SESSION;
    const request = () => createRequest(maxWaitMs, 1, maxBytes, READ_COMMITTED, id, epoch, topics, [], "");
    const answer = await send(connection, version, request);
    if (answer.errorCode !== 0) {
      throw new Error(`a fetch was answered with Kafka's error code ${answer.errorCode}`);
    }
    return answer;
  }

  async #negotiate(): Promise<Version> {
    const apis = await this.#client.listApis();
    const range = apis.find(({ name }) => name === "Fetch");
    const found = VERSIONS.find(({ version }) => {
      return range !== undefined && version >= range.minVersion && version <= range.maxVersion;
    });
    if (found === undefined) {
      throw new PipelineError(
        "kafka_refused",
        `Cannot read from Kafka: its brokers speak Fetch up to version ${range?.maxVersion}, expected 13 or later ` +
          "(topic ids); tested are Kafka 3.9, 4.0 and 4.4",
      );
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.close().catch(() => {});
  }
}

function send(connection: Connection, version: number, request: () => Writer): Promise<FetchAnswer> {
  return new Promise((resolve, reject) => {
    connection.send(
      FETCH,
      version,
      request,
      (_correlation, _api, _version, reader) => readFetchResponse(reader),
      true,
      true,
      // A request that timed out has an error and null in place of the answer.
      (error, answer) => answer ? resolve(answer) : reject(error),
    );
  });
}
