/**
 * Folder `fetch`: fetches records from each broker for the partitions that it leads, while they have room, and hands them
 * over. It never writes to the database.
 */
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

/** Long polls end soon enough for a stop, and for a partition that has room again. */
const IDLE_WAIT_MS = 500;
const BUSY_WAIT_MS = 20;
/** Memory that an answer may take, for one partition and for all: bytes on the wire times their expansion. */
const PARTITION_MEMORY_BYTES = 4 * 1024 * 1024;
const ANSWER_MEMORY_BYTES = 16 * 1024 * 1024;
/** Before the first fetch: that of well-compressed JSON. */
const ASSUMED_EXPANSION = 100;
/** While other partitions want records, fetches for a silent partition alone take one part in this many of the time. */
const QUESTIONS_SHARE = 5;
/** Limits of a request. A broker sends at least one batch even if that is larger. */
const MIN_FETCH_BYTES = 16 * 1024;
const MAX_PARTITION_FETCH_BYTES = 512 * 1024;
const MAX_FETCH_BYTES = 2 * 1024 * 1024;

export interface FetchPorts {
  readonly connection: KafkaConnection;
  readonly fetcher: Pick<Fetcher, "fetch">;
  readonly telemetry: ConsumerTelemetry;
  /** The topic as it is known now; undefined while it does not exist. */
  readonly topic: () => TopicDescription | undefined;
  readonly partitions: () => Iterable<Partition>;
  /** Leaders moved, or the topic was recreated. */
  readonly onStaleTopic: () => void;
}

/** Fetches from one broker, one request at a time, until `signal` aborts. */
export class FetchLoop {
  readonly ended: Promise<void>;
  readonly changed = new Notifier();
  /** The first partition of the last request. */
  #first = -1;
  /** When a silent partition may be fetched alone again although others want records. */
  #nextAloneAt = 0;
  /** Bytes of memory for each byte on the wire. */
  readonly #expansion = new WeakMap<Partition, number>();

  constructor(private readonly node: number, private readonly ports: FetchPorts, signal: AbortSignal) {
    this.ended = this.#run(signal);
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { telemetry } = this.ports;
    for (let failures = 0; !signal.aborted;) {
      const { askable = [], paused = [] } = Object.groupBy(this.#led(), ({ fetchStatus }) => {
        return fetchStatus.pauseMs === 0 ? "askable" : "paused";
      });
      const wanted = askable.filter(({ wantsRecords }) => wantsRecords).sort((a, b) => a.number - b.number);
      if (wanted.length === 0) {
        telemetry.brokerIdle(this.node);
        const atMostMs = Math.min(...paused.map(({ fetchStatus }) => fetchStatus.pauseMs));
        await this.changed.wait({ signal, atMostMs });
        continue;
      }
      telemetry.brokerAsked(this.node);
      try {
        await this.#fetch(this.#next(wanted), wanted.length < askable.length);
        failures = 0;
      } catch (error) {
        if (signal.aborted) break;
        this.#failed(error, wanted);
        await sleep(backoffMs(++failures), { signal });
      }
      telemetry.brokerAsked(this.node);
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

  /** @param wanted in the order of their numbers @returns a silent one alone, or all others */
  #next(wanted: readonly Partition[]): readonly Partition[] {
    // A broker fills its answer in the order of the request: each partition comes first in turn.
    const at = Math.max(0, wanted.findIndex(({ number }) => number > this.#first));
    const rotated = [...wanted.slice(at), ...wanted.slice(0, at)];
    this.#first = rotated[0]?.number ?? -1;
    const usual = rotated.filter(({ fetchStatus }) => !fetchStatus.needsIsolatedFetch);
    const suspicious = rotated.find(({ fetchStatus }) => fetchStatus.needsIsolatedFetch);
    const isTurn = usual.length === 0 || performance.now() >= this.#nextAloneAt;
    return suspicious !== undefined && isTurn ? [suspicious] : usual;
  }

  /** @param othersWait whether other partitions have no room now */
  async #fetch(asked: readonly Partition[], othersWait: boolean): Promise<void> {
    const { fetcher, telemetry } = this.ports;
    const topic = this.ports.topic();
    const broker = topic?.brokers.get(this.node);
    const began = performance.now();
    const alone = asked.some(({ fetchStatus }) => fetchStatus.needsIsolatedFetch);
    // Partitions at their end do not count: they may stay empty for ever, and each has a limit of its own.
    const known = asked.filter(({ isAtEnd }) => !isAtEnd).flatMap((one) => this.#expansion.get(one) ?? []);
    const expansion = known.length === 0 ? undefined : Math.max(...known);
    const maxBytes = within(ANSWER_MEMORY_BYTES, MAX_FETCH_BYTES, expansion);
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
    const truncated = possiblyTruncated(targets, answer, maxBytes);
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
      // It moved to another offset, or was closed, during the fetch.
      if (partition.fetchOffset !== target.offset || partition.state === "closed") continue;
      if (isLost) partition.offsetLost(divergence);
      // The records were far denser than expected: the rest is fetched again when there is room for it.
      else if (taken < ANSWER_MEMORY_BYTES || response.records.length === 0) {
        const question = {
          alone,
          throttled: answer.throttled,
          possiblyTruncated: truncated.has(partition.number),
        };
        taken += this.#take(partition, response, question);
      }
    }
    const name = STALE_METADATA_ERRORS[failed];
    if (name !== undefined) throw new StaleMetadata(name);
    if (failed !== NONE) throw new Error(`a fetch was answered with Kafka's error code ${failed}`);
    const now = performance.now();
    if (alone) this.#nextAloneAt = now + (now - began) * (QUESTIONS_SHARE - 1);
  }

  #target(partition: Partition, leaderEpochs: readonly number[] = []): FetchTarget {
    const { number, fetchOffset: offset, lastEpoch } = partition;
    // A replaced leader that does not know it yet must not answer: by its old log, what was read from its successor would
    // look lost.
    const known = leaderEpochs[number] ?? UNKNOWN_EPOCH;
    const requiredEpoch = known === UNKNOWN_EPOCH ? UNKNOWN_EPOCH : Math.max(known, lastEpoch);
    const expansion = this.#expansion.get(partition);
    const maxBytes = within(PARTITION_MEMORY_BYTES, MAX_PARTITION_FETCH_BYTES, expansion);
    return { partition: number, offset, lastEpoch, requiredEpoch, maxBytes };
  }

  /** @returns the bytes of memory that the records take */
  #take(partition: Partition, response: FetchedPartition, question: FetchConditions): number {
    const { connection, telemetry } = this.ports;
    const { number, fetchStatus, log } = partition;
    partition.lastStableOffset = response.lastStableOffset;
    try {
      const slice = sliceOf(response, partition.fetchOffset);
      fetchStatus.decoded(true);
      telemetry.batchReadable(log);
      if (slice.next === slice.from) {
        const gap = partition.foundNothing(question);
        if (gap !== undefined) telemetry.silentGap(number, gap);
        return 0;
      }
      // Up at once, down slowly: a second dense stretch after sparse ones must not exceed the limit again.
      const expansion = slice.bytes / response.records.length;
      this.#expansion.set(partition, Math.max(expansion, (this.#expansion.get(partition) ?? 0) * 0.8, 1));
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
  override readonly name = "NotServed";
}

/** How many bytes to fetch, so that the decompressed records fit into this memory. */
function within(memory: number, most: number, expansion = ASSUMED_EXPANSION): number {
  return Math.max(MIN_FETCH_BYTES, Math.min(most, Math.floor(memory / expansion)));
}

/**
 * Partitions whose records may have found no room in the answer, behind those of earlier partitions. An empty answer for them
 * proves nothing.
 */
function possiblyTruncated(targets: readonly FetchTarget[], { partitions }: FetchAnswer, maxBytes: number) {
  const bytes = new Map(partitions.map(({ partition, records }) => [partition, records.length]));
  const truncated = new Set<number>();
  let before = 0;
  for (const target of targets) {
    if (before + Math.min(target.maxBytes, maxBytes) > maxBytes) truncated.add(target.partition);
    before += bytes.get(target.partition) ?? 0;
  }
  return truncated;
}
