/**
 * Our place in the consumer group: which partitions are ours. Heartbeats go on by themselves while we write, on a
 * connection that nothing else uses.
 */
import type { Buffer } from "node:buffer";
import { Consumer, type ConsumerOptions } from "@platformatic/kafka";
import { retryUntilAborted, sleep } from "../backoff.ts";
import type { KafkaConnection } from "./client.ts";
import { tolerateLeaderlessPartitions } from "./client_patches.ts";
import type { Offset } from "./records.ts";

/** A stop waits for the group this long: leaving is a courtesy, and a stop has ten seconds in all. */
const LEAVE_MS = 3_000;

export class Membership implements AsyncDisposable {
  readonly #consumer: Consumer;
  #joining: Promise<void> | undefined;

  constructor(
    private readonly connection: KafkaConnection,
    private readonly options: {
      readonly groupId: string;
      /** After so long without a heartbeat the group gives our partitions to others; milliseconds. */
      readonly sessionTimeoutMs: number;
      readonly onAssigned: (partitions: readonly number[], generation: number) => void;
      readonly onFailure: (error: unknown) => void;
      readonly onHeartbeat: () => void;
      readonly signal: AbortSignal;
    },
  ) {
    this.#consumer = new Consumer({
      ...connection.options,
      groupId: options.groupId,
      sessionTimeout: options.sessionTimeoutMs,
      rebalanceTimeout: options.sessionTimeoutMs,
      heartbeatInterval: Math.floor(options.sessionTimeoutMs / 10),
      // A join is answered when every member has joined, or when the missing one's session is over.
      requestTimeout: options.sessionTimeoutMs + 5_000,
      // A rebalance that another member set off interrupts a join as a matter of course.
      retries: 3,
      retryDelay: 200,
      autocommit: false,
      // The group's leader shares out the partitions that its metadata names: old metadata would leave new ones to nobody.
      metadataMaxAge: 0,
    } as ConsumerOptions<Buffer, Buffer, Buffer, Buffer>);
    tolerateLeaderlessPartitions(this.#consumer);
    this.#consumer.on("consumer:group:join", ({ assignments, generationId }) => {
      const ours = assignments?.find(({ topic }) => topic === connection.topic)?.partitions ?? [];
      options.onAssigned(ours, generationId ?? 0);
    });
    this.#consumer.on("consumer:heartbeat:end", options.onHeartbeat);
    this.#consumer.on("consumer:heartbeat:error", ({ error }) => options.onFailure(error));
    // The client gave up on a join: without a new one there are no more heartbeats.
    this.#consumer.on("error", (error: Error) => {
      options.onFailure(error);
      this.join();
    });
  }

  /** Joins, or joins again, which makes the group look at the topic's partitions anew. Keeps trying until it is in. */
  join(): void {
    this.#joining ??= this.#join().finally(() => this.#joining = undefined);
  }

  async #join(): Promise<void> {
    this.#consumer.topics.track(this.connection.topic);
    const attempt = () => {
      // Its age is told by the wall clock, which may have been set back: then it would count as new for long.
      this.#consumer.clearMetadata();
      return this.#consumer.joinGroup();
    };
    await retryUntilAborted(attempt, this.options.onFailure, this.options);
  }

  /** Tells the group's coordinator how far we are. A courtesy to tools that show lag: our own truth is the ledger. */
  async commit(offsets: ReadonlyMap<number, Offset>): Promise<void> {
    if (offsets.size === 0 || !this.#consumer.isActive()) return;
    const common = { topic: this.connection.topic, leaderEpoch: -1 };
    const places = [...offsets].map(([partition, offset]) => ({
      ...common,
      partition,
      offset: BigInt(offset),
    }));
    await this.#consumer.commit({ offsets: places });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Leaving fails when Kafka is away, and waits for a join under way: behind a member that died that takes its whole
    // session. The group then finds out by the missing heartbeats.
    const left = new AbortController();
    await Promise.race([this.#consumer.close(true).catch(() => {}), sleep(LEAVE_MS, left)]);
    left.abort();
  }
}
