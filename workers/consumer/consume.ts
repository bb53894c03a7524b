import { describeTopic, NO_LEADER, type TopicDescription } from "../_shared/kafka/topic.ts";
import { Consumer } from "@platformatic/kafka";
import { backoffMs, sleep } from "../_shared/backoff.ts";
import { kafkaFailure } from "../_shared/kafka/client.ts";
import { tolerateLeaderlessPartitions } from "../_shared/kafka/client_patches.ts";
import { FetchLoop } from "./fetch/fetch_loop.ts";
import { Fetcher } from "../_shared/kafka/fetcher.ts";
import { runWatchdog } from "./watchdog.ts";
import { Membership } from "../_shared/kafka/membership.ts";
import { keepPartitions } from "./day_partitions/retention.ts";
import { Notifier } from "./kafka_partition/notifier.ts";
import { Partition } from "./kafka_partition/partition.ts";
import { type ConsumePorts, type ConsumerContext, LogPorts } from "./partition_ports.ts";
import type { Offset } from "../_shared/kafka/records.ts";
import { keepStatus } from "./status.ts";

const TOPIC_INTERVAL_MS = 5_000;
/** Applies while the topic does not exist, or an assigned partition has no leader. */
const MISSING_TOPIC_INTERVAL_MS = 1_000;
const COMMIT_INTERVAL_MS = 5_000;
/** Bytes of fetched, unwritten records, divided equally among the assigned partitions. */
const BUFFER_BYTES = 12 * 1024 * 1024;
const MIN_PARTITION_BUFFER_BYTES = 256 * 1024;
/** Limit of all partitions together. Only hundreds of partitions, or batches of many megabytes, reach it. */
const MEMORY_BUDGET_BYTES = 24 * 1024 * 1024;
/** Limits the time to write a batch of large records. */
const BATCH_BYTES = 16 * 1024 * 1024;

/** Resolves after `signal` aborts and the current batches are written or abandoned. */
export async function consume(ports: ConsumePorts): Promise<void> {
  await using consumption = new Consumption(ports);
  await consumption.run();
}

class Consumption implements AsyncDisposable {
  readonly #membership: Membership;
  readonly #fetcher: Fetcher;
  readonly #context: ConsumerContext;
  readonly #memoryBudget = { maxBytes: MEMORY_BUDGET_BYTES, usedBytes: 0 };
  readonly #topicStale = new Notifier();
  readonly #fetchLoops = new Map<number, FetchLoop>();
  readonly #partitions = new Map<number, Partition>();
  readonly #closing = new Set<Promise<void>>();
  readonly #uncommitted = new Map<number, Offset>();
  #topic: TopicDescription | undefined;
  #assigned: readonly number[] = [];
  #joinsLeft = 0;
  #leaderless: readonly Partition[] = [];

  constructor(private readonly ports: ConsumePorts) {
    const { options, telemetry, connection } = ports;
    this.#membership = new Membership(connection, {
      ...options,
      onHeartbeat: telemetry.groupAnswered,
      onFailure: (error) =>
        telemetry.groupFailed(kafkaFailure(`be a member of the group ${options.groupId}`, connection, error)),
      onAssigned: (partitions, generation) => {
        telemetry.partitionsAssigned(partitions, generation);
        this.#assigned = partitions;
        this.#updatePartitions();
      },
    });
    const client = new Consumer({ ...connection.options, groupId: options.groupId });
    this.#fetcher = new Fetcher(connection, tolerateLeaderlessPartitions(client));
    this.#context = {
      ...ports,
      client,
      onWritten: (partition, next) => void this.#uncommitted.set(partition, next),
      onChange: () => this.#wakeFetchLoops(),
      fetcher: this.#fetcher,
      topic: () => this.#topic,
      partitions: () => this.#partitions.values(),
      onStaleTopic: () => this.#topicStale.notify(),
    };
  }

  async run(): Promise<void> {
    await Promise.all([
      this.#watchTopic(),
      runWatchdog(this.#context),
      keepPartitions(this.ports, this.ports.options),
      this.#commitOffsetsToGroup(),
      keepStatus(this.#context),
    ]);
  }

  /** For tools that show lag; the consumer never reads these offsets. */
  async #commitOffsetsToGroup(): Promise<void> {
    const { signal } = this.ports.options;
    while (!signal.aborted) {
      await sleep(COMMIT_INTERVAL_MS, { signal });
      if (signal.aborted) return;
      const offsets = new Map(this.#uncommitted);
      this.#uncommitted.clear();
      await this.#membership.commit(offsets).catch(this.ports.telemetry.offsetsNotCommitted);
    }
  }

  async #watchTopic(): Promise<void> {
    const { connection, telemetry, options: { signal, fail } } = this.ports;
    let failures = 0;
    while (!signal.aborted) {
      telemetry.loopProgressed("topic");
      try {
        this.#updateTopic(await describeTopic(this.#context.client, connection.topic));
        failures = 0;
      } catch (error) {
        if (signal.aborted) break;
        const failure = kafkaFailure("read the topic", connection, error);
        telemetry.topicFailed(failure);
        // If Kafka refuses the first login, a setting is wrong, and a retry would hide it.
        if (failure.code === "kafka_refused" && this.#topic === undefined) fail(failure);
        failures++;
      }
      telemetry.loopProgressed("topic");
      const isWhole = this.#topic !== undefined && this.#leaderless.length === 0;
      const pauseMs = isWhole ? TOPIC_INTERVAL_MS : MISSING_TOPIC_INTERVAL_MS;
      await this.#topicStale.wait({ signal, atMostMs: failures > 0 ? backoffMs(failures) : pauseMs });
    }
    telemetry.loopIdle("topic");
  }

  #updateTopic(topic: TopicDescription | undefined): void {
    const { connection, telemetry, options: { signal } } = this.ports;
    const before = this.#topic;
    this.#topic = topic;
    if (topic === undefined) telemetry.topicMissing(connection.topic);
    else telemetry.topicFound(connection.topic, topic.id, topic.leaders.length);
    this.#updatePartitions();
    if (topic === undefined) return;
    for (const node of new Set(topic.leaders)) {
      if (node === NO_LEADER || this.#fetchLoops.has(node)) continue;
      this.#fetchLoops.set(node, new FetchLoop(node, this.#context, signal));
    }
    this.#wakeFetchLoops();
    this.#joinForNewPartitions(before?.leaders.length, topic.leaders.length);
  }

  /**
   * If the number of partitions changed, joins the group now and again after the next look at the topic. At the first join,
   * the group's leader may ask a broker that does not know the new partitions yet.
   */
  #joinForNewPartitions(before: number | undefined, partitions: number): void {
    if (partitions !== before) this.#joinsLeft = 2;
    if (this.#joinsLeft === 0) return;
    this.#joinsLeft--;
    this.#membership.join();
  }

  #updatePartitions(): void {
    const { connection: { topic }, telemetry, options: { batchRecords, fail } } = this.ports;
    const { id: topicId, leaders = [] } = this.#topic ?? {};
    const assigned = new Set(this.#assigned.filter((number) => leaders[number] !== undefined));
    for (const [number, partition] of this.#partitions) {
      if (assigned.has(number) && partition.log.topicId === topicId) continue;
      this.#partitions.delete(number);
      // The partition's next owner commits its offset from now on.
      this.#uncommitted.delete(number);
      this.#close(partition);
    }
    for (const number of assigned) {
      if (topicId === undefined || this.#partitions.has(number)) continue;
      const log = { topic, topicId, partition: number };
      const partition = new Partition(log, new LogPorts(this.#context, log), {
        bufferBytes: Math.max(MIN_PARTITION_BUFFER_BYTES, Math.floor(BUFFER_BYTES / assigned.size)),
        batchRecords,
        batchBytes: BATCH_BYTES,
        memoryBudget: this.#memoryBudget,
      });
      this.#partitions.set(number, partition);
      partition.start((error) => fail(error instanceof Error ? error : new Error(String(error))));
    }
    // No broker leads these partitions, so no fetch loop reports them.
    this.#leaderless = [...this.#partitions.values()].filter(({ number }) => leaders[number] === NO_LEADER);
    for (const { fetchStatus } of this.#leaderless) fetchStatus.failed();
    telemetry.leadersMissing(topic, this.#leaderless.map(({ number }) => number));
  }

  #close(partition: Partition): void {
    const closing = partition[Symbol.asyncDispose]().then(() => {
      this.#closing.delete(closing);
      this.ports.telemetry.partitionClosed(partition.log);
    });
    this.#closing.add(closing);
  }

  #wakeFetchLoops(): void {
    for (const loop of this.#fetchLoops.values()) loop.changed.notify();
  }

  /** Leaves the group only after the batches are written, because another member then takes over at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const partition of this.#partitions.values()) this.#close(partition);
    this.#partitions.clear();
    await this.#fetcher[Symbol.asyncDispose]();
    await Promise.all([...this.#fetchLoops.values()].map(({ ended }) => ended));
    await Promise.all(this.#closing);
    await this.#membership.commit(this.#uncommitted).catch(() => {});
    await this.#membership[Symbol.asyncDispose]();
    await this.#context.client.close().catch(() => {});
  }
}
