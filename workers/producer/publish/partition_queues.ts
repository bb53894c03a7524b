/**
 * Folder `publish`: takes records from a source when they are due, retries each until Kafka has acknowledged it, and
 * reports the progress. It never creates or changes a record.
 *
 * This file: the records that wait to be sent, by partition.
 */
import { backoffMs, sleep } from "../../_shared/backoff.ts";
import { findInCauses } from "../../_shared/errors.ts";
import { REFUSED_RECORDS } from "../../_shared/kafka/error_codes.ts";
import { type KafkaConnection, kafkaFailure } from "../../_shared/kafka/client.ts";
import { partitionOf } from "../../_shared/kafka/partitioner.ts";
import type { BatchPosition } from "../../_shared/kafka/sender.ts";
import type { Batch, OutgoingRecord } from "./records.ts";
import type { ProducerTelemetry } from "./telemetry.ts";

const MAX_BATCH_RECORDS = 2_000;
/** Below the default limit of a broker: `message.max.bytes` is 1,048,588. */
const MAX_BATCH_BYTES = 512 * 1024;

export interface Target {
  readonly sender: { send(batch: Batch): Promise<BatchPosition> };
  readonly connection: KafkaConnection;
  /** Number of partitions at the start; the producer uses added ones only after a restart. */
  readonly partitions: number;
  readonly telemetry: ProducerTelemetry;
}

/**
 * One queue for each partition, with one request in flight, so that a retry cannot change the order of a customer's records.
 *
 * Kafka's idempotent producer would keep the order, too. But this client's one allows one request in flight for all partitions
 * together, and its endless retries hide an outage and SIGTERM. Without it, a record whose acknowledgement is lost can be in the
 * topic twice, and the consumer counts the second one as a duplicate.
 */
export class PartitionQueues {
  /** Records that are neither acknowledged nor given up. */
  queued = 0;
  readonly #queues: readonly OutgoingRecord[][];
  readonly #running = new Map<number, Promise<void>>();

  /** @param gaveUp aborts when no time is left for another attempt */
  constructor(private readonly target: Target, private readonly gaveUp: AbortSignal) {
    this.#queues = Array.from({ length: target.partitions }, () => []);
  }

  push(record: OutgoingRecord): void {
    this.#queues[partitionOf(record.key, this.#queues.length)]?.push(record);
    this.queued++;
  }

  start(): void {
    for (const [partition, queue] of this.#queues.entries()) {
      if (queue.length === 0 || this.#running.has(partition)) continue;
      const drained = this.#drain(partition, queue).finally(() => this.#running.delete(partition));
      this.#running.set(partition, drained);
    }
  }

  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  async #drain(partition: number, queue: OutgoingRecord[]): Promise<void> {
    while (queue.length > 0) {
      const records = queue.splice(0, batchLength(queue));
      await this.#deliver({ partition, records });
      this.queued -= records.length;
    }
  }

  /** Resolves when each record is acknowledged, refused or given up; never rejects. */
  async #deliver(batch: Batch): Promise<void> {
    const { gaveUp, target: { sender, connection, telemetry } } = this;
    const { partition, records } = batch;
    for (let attempt = 1; !gaveUp.aborted; attempt++) {
      const startedMs = performance.now();
      try {
        // After SIGTERM, there is no time to wait for a dead broker.
        const position = await unlessAborted(sender.send(batch), gaveUp);
        if (position === undefined) break;
        return telemetry.batchPublished(batch, position, performance.now() - startedMs);
      } catch (error) {
        if (gaveUp.aborted) break;
        const action = `publish to topic ${connection.topic}, partition ${partition}`;
        const failure = kafkaFailure(action, connection, error);
        if (REFUSED_RECORDS.has(findInCauses(error, "apiId"))) return await this.#isolate(batch, failure);
        const retryInMs = backoffMs(attempt);
        telemetry.publishFailed(failure, attempt, retryInMs, batch);
        await sleep(retryInMs, { signal: gaveUp });
      }
    }
    telemetry.tally.failed += records.length;
  }

  /** Halves a refused batch until the refused record is alone, so that all others are published. */
  async #isolate({ partition, records }: Batch, failure: Error): Promise<void> {
    const [first, second] = records;
    if (first !== undefined && second === undefined) {
      return this.target.telemetry.recordRefused(failure, first);
    }
    const half = Math.ceil(records.length / 2);
    await this.#deliver({ partition, records: records.slice(0, half) });
    await this.#deliver({ partition, records: records.slice(half) });
  }
}

function batchLength(queue: readonly OutgoingRecord[]): number {
  let bytes = 0;
  for (const [index, { key, value }] of queue.entries()) {
    bytes += key.length + (value?.length ?? 0);
    if (index > 0 && (index === MAX_BATCH_RECORDS || bytes > MAX_BATCH_BYTES)) return index;
  }
  return queue.length;
}

/** Resolves to undefined if the signal aborts first, because a read from a pipe cannot be cancelled. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) resolve(undefined);
    const onAbort = () => resolve(undefined);
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
