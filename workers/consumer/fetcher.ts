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
} from "@platformatic/kafka";
import { PipelineError } from "../_shared/errors.ts";
import type { KafkaConnection } from "../_shared/kafka.ts";
import type { Offset, PartitionResponse } from "./slice.ts";

export interface FetchTarget {
  readonly partition: number;
  readonly offset: Offset;
  /** Of the last record before `offset`; -1 when it is not known. */
  readonly lastEpoch: number;
  /** In which the broker must lead the partition to answer; -1 for any. */
  readonly requiredEpoch: number;
}

export interface FetchLimits {
  /** How long the broker may wait for the first record, milliseconds. */
  readonly maxWaitMs: number;
  readonly maxBytes: number;
  readonly partitionMaxBytes: number;
}

export interface FetchAnswer {
  /** The broker held records back to slow us down: an empty answer proves nothing then. */
  readonly throttled: boolean;
  readonly partitions: readonly PartitionResponse[];
}

type Response = Awaited<ReturnType<Consumer["fetch"]>>;

const READ_COMMITTED = 1;
/** The protocol's "no fetch session": every request is complete in itself, so there is no state to get out of step. */
const NO_SESSION = { id: 0, epoch: -1 };

const VERSIONS = [
  { version: 17, api: fetchV17.api },
  { version: 16, api: fetchV16.api },
  { version: 15, api: fetchV15.api },
  { version: 14, api: fetchV14.api },
  { version: 13, api: fetchV13.api },
] as const;

/** Connections of their own, one a broker: a long poll on the group's connection would hold its heartbeats back. */
export class Fetcher implements AsyncDisposable {
  readonly #pool: ConnectionPool;
  readonly #client: Consumer;
  #api: typeof fetchV17.api | undefined;

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
    const api = this.#api ??= await this.#negotiate();
    const connection: Connection = await this.#pool.get(broker);
    const partitions = targets.map(({ partition, offset, lastEpoch, requiredEpoch }) => ({
      partition,
      currentLeaderEpoch: requiredEpoch,
      fetchOffset: BigInt(offset),
      lastFetchedEpoch: lastEpoch,
      partitionMaxBytes: limits.partitionMaxBytes,
    }));
    const { maxWaitMs, maxBytes } = limits;
    const topics = [{ topicId, partitions }];
    try {
      const { id, epoch } = NO_SESSION;
      return answer(
        await api.async(
          connection,
          maxWaitMs,
          1,
          maxBytes,
          READ_COMMITTED,
          id,
          epoch,
          topics,
          [],
          "",
        ) as Response,
      );
    } catch (error) {
      // The client throws when any partition has an error; what the others brought is in the error.
      const response = (error as { response?: Response }).response;
      if (response === undefined || response.errorCode !== 0) throw error;
      return answer(response);
    }
  }

  async #negotiate(): Promise<typeof fetchV17.api> {
    const apis = await this.#client.listApis();
    const range = apis.find(({ name }) => name === "Fetch");
    const found = VERSIONS.find(({ version }) => {
      return range !== undefined && version >= range.minVersion && version <= range.maxVersion;
    });
    if (found === undefined) {
      throw new PipelineError(
        "kafka_refused",
        `Cannot read from Kafka: its brokers speak Fetch up to version ${range?.maxVersion}, expected 13 or later ` +
          "(topic ids); run Kafka 3.1 or later",
      );
    }
    return found.api;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.close().catch(() => {});
  }
}

function answer(response: Response): FetchAnswer {
  return {
    throttled: response.throttleTimeMs > 0,
    partitions: response.responses.flatMap(({ partitions }) => partitions),
  };
}
