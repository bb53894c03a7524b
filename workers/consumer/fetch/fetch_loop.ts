/** Folder `fetch`: fetches records from each broker for the partitions that it leads. It never writes to the database. */
import { backoffMs, sleep } from "../../_shared/backoff.ts";
import { type KafkaConnection, kafkaFailure } from "../../_shared/kafka/client.ts";
import { NONE, OFFSET_OUT_OF_RANGE, STALE_METADATA_ERRORS } from "../../_shared/kafka/error_codes.ts";
import type { TopicDescription } from "../../_shared/kafka/topic.ts";
import type { FetchAnswer, FetchedPartition, Fetcher, FetchTarget } from "../../_shared/kafka/fetcher.ts";
import type { FetchConditions } from "../kafka_partition/fetch_status.ts";
import { Notifier } from "../kafka_partition/notifier.ts";
import type { Partition } from "../kafka_partition/partition.ts";
import { sliceOf, UNKNOWN_EPOCH } from "../kafka_partition/slice.ts";
import type { ConsumerTelemetry } from "../telemetry/telemetry.ts";

/** How long a broker may wait for records. A stop of the consumer waits as long. */
const IDLE_WAIT_MS = 500;
/** Applies while another partition has no room, because this request delays its next fetch. */
const BUSY_WAIT_MS = 20;
/** Limits the memory of fetched records: their bytes on the wire times their expansion. */
const PARTITION_MEMORY_BYTES = 4 * 1024 * 1024;
const RESPONSE_MEMORY_BYTES = 16 * 1024 * 1024;
/** The expansion of well-compressed JSON, assumed until the first fetch. */
const ASSUMED_EXPANSION = 100;
/** The remembered expansion rises at once and falls slowly, so that dense records after sparse ones do not exceed the limits. */
const EXPANSION_DECAY = 0.8;
/** While other partitions want records, isolated fetches take at most this share of the time. */
const ISOLATED_SHARE = 1 / 5;
/** Limits of a request, in bytes on the wire. A broker sends at least one record batch, even a larger one. */
const MIN_FETCH_BYTES = 16 * 1024;
const MAX_PARTITION_FETCH_BYTES = 512 * 1024;
const MAX_FETCH_BYTES = 2 * 1024 * 1024;

export interface FetchPorts {
  readonly connection: KafkaConnection;
  readonly fetcher: Pick<Fetcher, "fetch">;
  readonly telemetry: ConsumerTelemetry;
  readonly topic: () => TopicDescription | undefined;
  readonly partitions: () => Iterable<Partition>;
  readonly onStaleTopic: () => void;
}

interface Request {
  readonly asked: readonly Partition[];
  readonly targets: readonly FetchTarget[];
  readonly maxBytes: number;
  readonly alone: boolean;
}

/** Fetches from one broker, one request at a time, until `signal` aborts. */
export class FetchLoop {
  readonly ended: Promise<void>;
  readonly changed = new Notifier();
  /** The first partition of the last request. */
  #first = -1;
  #nextIsolatedAt = 0;
  /** Bytes of memory for each byte on the wire. */
  readonly #expansion = new WeakMap<Partition, number>();

  constructor(private readonly node: number, private readonly ports: FetchPorts, signal: AbortSignal) {
    this.ended = this.#run(signal);
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { telemetry } = this.ports;
    for (let failures = 0; !signal.aborted;) {
      const { ready = [], paused = [] } = Object.groupBy(this.#led(), ({ fetchStatus }) => {
        return fetchStatus.pauseMs === 0 ? "ready" : "paused";
      });
      const wanted = ready.filter(({ wantsRecords }) => wantsRecords).sort((a, b) => a.number - b.number);
      if (wanted.length === 0) {
        telemetry.brokerIdle(this.node);
        const atMostMs = Math.min(...paused.map(({ fetchStatus }) => fetchStatus.pauseMs));
        await this.changed.wait({ signal, atMostMs });
        continue;
      }
      telemetry.brokerAsked(this.node);
      try {
        await this.#fetch(this.#choose(wanted), wanted.length < ready.length);
        failures = 0;
      } catch (error) {
        if (signal.aborted) break;
        this.#failed(error, wanted);
        await sleep(backoffMs(++failures), { signal });
      }
    }
    telemetry.brokerIdle(this.node);
  }

  #led(): Partition[] {
    const leaders = this.ports.topic()?.leaders ?? [];
    return [...this.ports.partitions()].filter(({ number }) => leaders[number] === this.node);
  }

  #failed(error: unknown, wanted: readonly Partition[]): void {
    const { connection, telemetry, onStaleTopic } = this.ports;
    if (error instanceof StaleMetadata) {
      telemetry.metadataStale(this.node, error.message);
      return onStaleTopic();
    }
    const numbers = wanted.map(({ number }) => number);
    telemetry.fetchFailed(this.node, kafkaFailure("fetch records", connection, error), numbers);
  }

  /** Returns one partition that needs an isolated fetch, or all that need none. `wanted` is ordered by number. */
  #choose(wanted: readonly Partition[]): readonly Partition[] {
    // A broker fills its response in the order of the request, so each partition comes first in turn.
    const start = Math.max(0, wanted.findIndex(({ number }) => number > this.#first));
    const rotated = [...wanted.slice(start), ...wanted.slice(0, start)];
    this.#first = rotated[0]?.number ?? -1;
    const others = rotated.filter(({ fetchStatus }) => !fetchStatus.needsIsolatedFetch);
    const isolated = rotated.find(({ fetchStatus }) => fetchStatus.needsIsolatedFetch);
    const isDue = others.length === 0 || performance.now() >= this.#nextIsolatedAt;
    return isolated !== undefined && isDue ? [isolated] : others;
  }

  /** @param othersWait whether other partitions have no room at the moment */
  async #fetch(asked: readonly Partition[], othersWait: boolean): Promise<void> {
    const { fetcher, telemetry } = this.ports;
    const topic = this.ports.topic();
    const broker = topic?.brokers.get(this.node);
    const began = performance.now();
    const alone = asked.some(({ fetchStatus }) => fetchStatus.needsIsolatedFetch);
    // Partitions without lag probably send nothing, so their expansion must not lower the limit of the response.
    const behind = asked.filter(({ isAtEnd }) => !isAtEnd);
    const expansions = behind.flatMap((partition) => this.#expansion.get(partition) ?? []);
    const expansion = expansions.length === 0 ? undefined : Math.max(...expansions);
    const maxBytes = fetchBytes(RESPONSE_MEMORY_BYTES, MAX_FETCH_BYTES, expansion);
    const maxWaitMs = othersWait && !alone ? BUSY_WAIT_MS : IDLE_WAIT_MS;
    const targets = asked.map((partition) => this.#target(partition, topic?.leaderEpochs));
    let answer: FetchAnswer;
    try {
      if (topic === undefined || broker === undefined) throw new StaleMetadata("the broker left the cluster");
      answer = await fetcher.fetch(broker, topic.id, targets, { maxWaitMs, maxBytes });
    } catch (error) {
      for (const { fetchStatus } of this.#led()) fetchStatus.failed();
      throw error;
    }
    telemetry.fetched(this.node);
    const failed = this.#handleAnswer(answer, { asked, targets, maxBytes, alone });
    const name = STALE_METADATA_ERRORS[failed];
    if (name !== undefined) throw new StaleMetadata(name);
    if (failed !== NONE) throw new Error(`a fetch was answered with Kafka's error code ${failed}`);
    if (alone) this.#nextIsolatedAt = began + (performance.now() - began) / ISOLATED_SHARE;
  }

  /** @returns the last error code of a partition, or NONE */
  #handleAnswer(answer: FetchAnswer, { asked, targets, maxBytes, alone }: Request): number {
    const truncated = findPossiblyTruncated(targets, answer, maxBytes);
    let failed = NONE;
    let taken = 0;
    for (const response of answer.partitions) {
      const index = asked.findIndex(({ number }) => number === response.partition);
      const [partition, target] = [asked[index], targets[index]];
      if (partition === undefined || target === undefined) continue;
      const { divergence, errorCode } = response;
      const isLost = divergence !== undefined || errorCode === OFFSET_OUT_OF_RANGE;
      if (!isLost && errorCode !== NONE) {
        partition.fetchStatus.failed();
        failed = errorCode;
        continue;
      }
      partition.fetchStatus.answered();
      // During the fetch, the partition moved to another offset or was closed.
      if (partition.fetchOffset !== target.offset || partition.state === "closed") continue;
      if (isLost) partition.offsetLost(divergence);
      // If the records take more memory than expected, the rest of the response is fetched again later.
      else if (taken < RESPONSE_MEMORY_BYTES || response.records.length === 0) {
        const possiblyTruncated = truncated.has(partition.number);
        taken += this.#take(partition, response, { alone, throttled: answer.throttled, possiblyTruncated });
      }
    }
    return failed;
  }

  #target(partition: Partition, leaderEpochs: readonly number[] = []): FetchTarget {
    const { number, fetchOffset: offset, lastEpoch } = partition;
    const known = leaderEpochs[number] ?? UNKNOWN_EPOCH;
    // A former leader that does not know its successor must not answer: its old log would make the successor's records look lost.
    const requiredEpoch = known === UNKNOWN_EPOCH ? UNKNOWN_EPOCH : Math.max(known, lastEpoch);
    const expansion = this.#expansion.get(partition);
    const maxBytes = fetchBytes(PARTITION_MEMORY_BYTES, MAX_PARTITION_FETCH_BYTES, expansion);
    return { partition: number, offset, lastEpoch, requiredEpoch, maxBytes };
  }

  /** @returns the bytes of memory that the records take */
  #take(partition: Partition, response: FetchedPartition, conditions: FetchConditions): number {
    const { connection, telemetry } = this.ports;
    const { number, fetchStatus, log } = partition;
    partition.lastStableOffset = response.lastStableOffset;
    try {
      const slice = sliceOf(response, partition.fetchOffset);
      fetchStatus.decoded(true);
      telemetry.batchReadable(log);
      if (slice.next === slice.from) {
        const gap = partition.foundNothing(conditions);
        if (gap !== undefined) telemetry.silentGap(number, gap);
        return 0;
      }
      const expansion = slice.bytes / response.records.length;
      const remembered = this.#expansion.get(partition) ?? 0;
      this.#expansion.set(partition, Math.max(expansion, remembered * EXPANSION_DECAY, 1));
      partition.accept(slice);
      return slice.bytes;
    } catch (error) {
      const failure = kafkaFailure("read what was fetched", connection, error);
      fetchStatus.decoded(false);
      telemetry.batchCorrupt(log, failure, this.node);
      return 0;
    }
  }
}

/** Expected while leaders move or a topic is deleted. */
class StaleMetadata extends Error {
  override readonly name = "StaleMetadata";
}

function fetchBytes(memoryBytes: number, maxBytes: number, expansion = ASSUMED_EXPANSION): number {
  return Math.max(MIN_FETCH_BYTES, Math.min(maxBytes, Math.floor(memoryBytes / expansion)));
}

/** Finds partitions for whose records the response may have had no room. Their empty answers prove nothing. */
function findPossiblyTruncated(
  targets: readonly FetchTarget[],
  { partitions }: FetchAnswer,
  maxBytes: number,
) {
  const sentBytes = new Map(partitions.map(({ partition, records }) => [partition, records.length]));
  const truncated = new Set<number>();
  let bytesBefore = 0;
  for (const target of targets) {
    if (bytesBefore + Math.min(target.maxBytes, maxBytes) > maxBytes) truncated.add(target.partition);
    bytesBefore += sentBytes.get(target.partition) ?? 0;
  }
  return truncated;
}
