/** Reads the assigned partitions of the topic and has each stretch of them written, for as long as the program runs. */
import { describeTopic, NO_LEADER, type TopicDescription, whyNotCompaction } from "../_shared/kafka/topic.ts";
import { Consumer } from "@platformatic/kafka";
import { backoffMs, sleep } from "../_shared/backoff.ts";
import { kafkaFailure } from "../_shared/kafka/client.ts";
import { bearLeaderless } from "../_shared/kafka/client_patches.ts";
import { FetchLoop } from "./fetch/fetch_loop.ts";
import { Fetcher } from "../_shared/kafka/fetcher.ts";
import { keepWatch } from "./housekeeping.ts";
import { Membership } from "../_shared/kafka/membership.ts";
import { keepPartitions } from "./day_partitions/retention.ts";
import { Notifier } from "./kafka_partition/notifier.ts";
import { Partition } from "./kafka_partition/partition.ts";
import { type ConsumeOptions, type ConsumePorts, type Environment, LogPorts } from "./partition_ports.ts";
import type { Offset } from "../_shared/kafka/records.ts";
import type { Room } from "./kafka_partition/backlog.ts";
import { SilentLogs } from "./fetch/silent_logs.ts";
import { keepStatus } from "./status.ts";

/** How often the topic is looked at: for new partitions, moved leaders, and whether it exists at all. */
const TOPIC_INTERVAL_MS = 5_000;
/** While there is none, or one of our partitions has no leader. */
const MISSING_TOPIC_INTERVAL_MS = 1_000;
const COMMIT_INTERVAL_MS = 5_000;
/** All partitions together may hold so many bytes that wait for their write, as `Slice.bytes` counts them. */
const BUFFER_BYTES = 12 * 1024 * 1024;
const MIN_PARTITION_BUFFER_BYTES = 256 * 1024;
/** And so many with what is being written: it is reached with hundreds of partitions, or with batches of many megabytes. */
const ROOM_BYTES = 24 * 1024 * 1024;
/** Bytes of records in one transaction, about: one of a few large records may not last longer than one of many small. */
const BATCH_BYTES = 16 * 1024 * 1024;

/** Resolves when `signal` aborted and everything in hand is written or given up. */
export async function consume(ports: ConsumePorts, options: ConsumeOptions): Promise<void> {
  await using consumption = new Consumption(ports, options);
  await consumption.run();
}

class Consumption implements AsyncDisposable {
  readonly #membership: Membership;
  /** For questions about the topic; never a member. */
  readonly #client: Consumer;
  readonly #fetcher: Fetcher;
  readonly #environment: Environment;
  readonly #room: Room = { bytes: ROOM_BYTES, held: 0 };
  readonly #topicStale = new Notifier();
  readonly #fetchLoops = new Map<number, FetchLoop>();
  readonly #partitions = new Map<number, Partition>();
  readonly #closing = new Set<Promise<void>>();
  readonly #uncommitted = new Map<number, Offset>();
  #topic: TopicDescription | undefined;
  #assigned: readonly number[] = [];
  #joinsDue = 0;
  /** Partitions of ours that no broker serves; no fetch loop has them in hand. */
  #leaderless: readonly Partition[] = [];

  constructor(private readonly ports: ConsumePorts, private readonly options: ConsumeOptions) {
    const { telemetry, connection } = ports;
    this.#membership = new Membership(connection, {
      ...options,
      onHeartbeat: telemetry.groupWorks,
      onFailure: (error) =>
        telemetry.groupFailed(kafkaFailure(`be a member of the group ${options.groupId}`, connection, error)),
      onAssigned: (partitions, generation) => {
        telemetry.partitionsAssigned(partitions, generation);
        this.#assigned = partitions;
        this.#settlePartitions();
      },
    });
    this.#client = bearLeaderless(new Consumer({ ...connection.options, groupId: options.groupId }));
    this.#fetcher = new Fetcher(connection, this.#client);
    this.#environment = {
      ...ports,
      client: this.#client,
      offsetReset: options.offsetReset,
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
      keepWatch(this.#environment, this.options),
      new SilentLogs({ ...this.#environment, whyNotCompaction }).watch(this.options),
      keepPartitions(this.ports, this.options),
      this.#tellGroup(),
      keepStatus(this.#environment, this.options),
    ]);
  }

  /** Every few seconds, what was written since: lag tools read the group's offsets, we never do. */
  async #tellGroup(): Promise<void> {
    const { signal } = this.options;
    while (!signal.aborted) {
      await sleep(COMMIT_INTERVAL_MS, { signal });
      if (signal.aborted) return;
      const offsets = new Map(this.#uncommitted);
      this.#uncommitted.clear();
      await this.#membership.commit(offsets).catch(this.ports.telemetry.offsetsNotCommitted);
    }
  }

  /** Waits for the topic, then follows its leaders, its partitions and its identity. */
  async #watchTopic(): Promise<void> {
    const { connection, telemetry } = this.ports;
    const { signal } = this.options;
    for (let failures = 0; !signal.aborted;) {
      telemetry.loopMoved("topic");
      try {
        this.#setTopic(await describeTopic(this.#client, connection.topic));
        failures = 0;
      } catch (error) {
        if (signal.aborted) break;
        const failure = kafkaFailure("read the topic", connection, error);
        telemetry.topicFailed(failure);
        // A login that was refused from the start is a wrong setting: waiting would hide it.
        if (failure.code === "kafka_refused" && this.#topic === undefined) this.options.fail(failure);
        failures++;
      }
      telemetry.loopMoved("topic");
      const isWhole = this.#topic !== undefined && this.#leaderless.length === 0;
      const pauseMs = isWhole ? TOPIC_INTERVAL_MS : MISSING_TOPIC_INTERVAL_MS;
      await this.#topicStale.wait({ signal, atMostMs: failures > 0 ? backoffMs(failures) : pauseMs });
    }
    telemetry.loopIdle("topic");
  }

  #setTopic(topic: TopicDescription | undefined): void {
    const { connection, telemetry } = this.ports;
    const before = this.#topic;
    this.#topic = topic;
    if (topic === undefined) telemetry.topicMissing(connection.topic);
    else telemetry.topicFound(connection.topic, topic.id, topic.leaders.length);
    this.#settlePartitions();
    if (topic === undefined) return;
    for (const node of new Set(topic.leaders)) {
      if (node === NO_LEADER || this.#fetchLoops.has(node)) continue;
      this.#fetchLoops.set(node, new FetchLoop(node, this.#environment, this.options.signal));
    }
    this.#wakeFetchLoops();
    // The group learns of partitions that were added only when it is asked to share them out again; and once more at the
    // next look, since the broker that its leader asks may have heard of them later than ours.
    if (topic.leaders.length !== before?.leaders.length) this.#joinsDue = 2;
    if (this.#joinsDue > 0) {
      this.#joinsDue--;
      this.#membership.join();
    }
  }

  /** Makes the open partitions those that are assigned to us and exist in this incarnation of the topic. */
  #settlePartitions(): void {
    const { connection: { topic }, telemetry } = this.ports;
    const { id: topicId, leaders = [] } = this.#topic ?? {};
    const ours = new Set(this.#assigned.filter((number) => leaders[number] !== undefined));
    for (const [number, partition] of this.#partitions) {
      if (ours.has(number) && partition.log.topicId === topicId) continue;
      this.#partitions.delete(number);
      // Its next owner tells the group from now on.
      this.#uncommitted.delete(number);
      this.#close(partition);
    }
    for (const number of ours) {
      if (topicId === undefined || this.#partitions.has(number)) continue;
      const log = { topic, topicId, partition: number };
      const partition = new Partition(log, new LogPorts(this.#environment, log), {
        bufferBytes: Math.max(MIN_PARTITION_BUFFER_BYTES, Math.floor(BUFFER_BYTES / ours.size)),
        batchRecords: this.options.batchRecords,
        batchBytes: BATCH_BYTES,
        room: this.#room,
      });
      this.#partitions.set(number, partition);
      partition.start((error) => {
        this.options.fail(error instanceof Error ? error : new Error(String(error)));
      });
    }
    this.#leaderless = [...this.#partitions.values()].filter(({ number }) => leaders[number] === NO_LEADER);
    for (const { answers } of this.#leaderless) answers.failed();
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

  /** Writes what is in hand, tells the group, and leaves it; then others take our partitions over at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const partition of this.#partitions.values()) this.#close(partition);
    this.#partitions.clear();
    await this.#fetcher[Symbol.asyncDispose]();
    await Promise.all([...this.#fetchLoops.values()].map(({ ended }) => ended));
    await Promise.all(this.#closing);
    await this.#membership.commit(this.#uncommitted).catch(() => {});
    await this.#membership[Symbol.asyncDispose]();
    await this.#client.close().catch(() => {});
  }
}
