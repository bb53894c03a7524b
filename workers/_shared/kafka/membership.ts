/**
 * The consumer's membership in its group. Heartbeats do not share a connection with fetches, because a fetch that waits
 * for records would delay them.
 */
import type { Buffer } from "node:buffer";
import { Consumer, type ConsumerOptions } from "@platformatic/kafka";
import { retryUntilAborted, sleep } from "../backoff.ts";
import type { KafkaConnection } from "./client.ts";
import { tolerateLeaderlessPartitions } from "./client_patches.ts";
import type { Offset } from "./records.ts";

/** A shutdown has 10 s in all. If leaving takes longer, the group notices the missing heartbeats. */
const LEAVE_MS = 3_000;

export class Membership implements AsyncDisposable {
  readonly #consumer: Consumer;
  #joining: Promise<void> | undefined;

  constructor(
    private readonly connection: KafkaConnection,
    private readonly options: {
      readonly groupId: string;
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
      // The broker answers a join after all members have joined, or after the session of a missing member has timed out.
      requestTimeout: options.sessionTimeoutMs + 5_000,
      // Another member's rebalance often interrupts a join.
      retries: 3,
      retryDelay: 200,
      autocommit: false,
      // The group's leader assigns the partitions that its metadata names. With old metadata, it would omit new partitions.
      metadataMaxAge: 0,
    } as ConsumerOptions<Buffer, Buffer, Buffer, Buffer>);
    tolerateLeaderlessPartitions(this.#consumer);
    this.#consumer.on("consumer:group:join", ({ assignments, generationId }) => {
      const partitions = assignments?.find(({ topic }) => topic === connection.topic)?.partitions ?? [];
      options.onAssigned(partitions, generationId ?? 0);
    });
    this.#consumer.on("consumer:heartbeat:end", options.onHeartbeat);
    this.#consumer.on("consumer:heartbeat:error", ({ error }) => options.onFailure(error));
    // After this event, the client neither joins nor sends heartbeats.
    this.#consumer.on("error", (error: Error) => {
      options.onFailure(error);
      this.join();
    });
  }

  /** Joins, or rejoins to get a new assignment. Retries until it succeeds. */
  join(): void {
    this.#joining ??= this.#join().finally(() => this.#joining = undefined);
  }

  async #join(): Promise<void> {
    this.#consumer.topics.track(this.connection.topic);
    const attempt = () => {
      // The client measures the age of metadata by the system clock. If the clock is set back, old metadata seems new.
      this.#consumer.clearMetadata();
      return this.#consumer.joinGroup();
    };
    await retryUntilAborted(attempt, this.options.onFailure, this.options);
  }

  /** Commits offsets for tools that show lag. The consumer itself resumes from the ledger. */
  async commit(offsets: ReadonlyMap<number, Offset>): Promise<void> {
    if (offsets.size === 0 || !this.#consumer.isActive()) return;
    const { topic } = this.connection;
    await this.#consumer.commit({
      offsets: [...offsets].map(([partition, offset]) => (
        { topic, partition, offset: BigInt(offset), leaderEpoch: -1 }
      )),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Leaving fails if Kafka is unavailable. It first waits for a join in progress, which can last as long as the session
    // timeout of a dead member.
    const left = new AbortController();
    await Promise.race([this.#consumer.close(true).catch(() => {}), sleep(LEAVE_MS, left)]);
    left.abort();
  }
}
