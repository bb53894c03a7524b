/**
 * Folder `publish`: takes records from a source when they are due and sends each until Kafka has acknowledged it, with
 * all that is logged, counted and measured of it. It never makes a record and never changes one.
 *
 * This file: what waits to be sent, by partition.
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
/** Under the million bytes that brokers accept by default. */
const MAX_BATCH_BYTES = 512 * 1024;

/** Where records go, and who is told. */
export interface Target {
  readonly sender: { send(batch: Batch): Promise<BatchPosition> };
  readonly connection: KafkaConnection;
  /** Of the topic, when it was looked at; ones that are added later are used after the next start. */
  readonly partitions: number;
  readonly telemetry: ProducerTelemetry;
}

/**
 * A lane for each partition, with one request under way in each. So many are in flight, a request that is tried again
 * is not overtaken by a later one of the same customer, and no request succeeds by half, which would send the better
 * half twice.
 *
 * The client's idempotent mode would give the order too, but it allows a single request in flight for all partitions
 * together, retries within the client without end, where neither an outage nor SIGTERM is seen, and begins anew, with
 * the duplicate, when the broker lost its state. A record whose acknowledgement was lost may therefore be in the topic
 * twice; the consumer counts such as a duplicate.
 */
export class PartitionQueues {
  /** Offered and not yet acknowledged or given up. */
  queued = 0;
  readonly #queues: readonly OutgoingRecord[][];
  readonly #running = new Map<number, Promise<void>>();

  /** @param gaveUp aborts when there is no time left to try again */
  constructor(private readonly target: Target, private readonly gaveUp: AbortSignal) {
    this.#queues = Array.from({ length: target.partitions }, () => []);
  }

  push(record: OutgoingRecord): void {
    this.#queues[partitionOf(record.key, this.#queues.length)]?.push(record);
    this.queued++;
  }

  /** Sends what waits; what is pushed meanwhile follows in the next batch. */
  start(): void {
    for (const [partition, queue] of this.#queues.entries()) {
      if (queue.length === 0 || this.#running.has(partition)) continue;
      const emptied = this.#empty(partition, queue).finally(() => this.#running.delete(partition));
      this.#running.set(partition, emptied);
    }
  }

  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  async #empty(partition: number, queue: OutgoingRecord[]): Promise<void> {
    while (queue.length > 0) {
      const records = queue.splice(0, batchLength(queue));
      await this.#deliver({ partition, records });
      this.queued -= records.length;
    }
  }

  /** Resolves when every record of the batch is acknowledged, refused or given up; it never rejects. */
  async #deliver(batch: Batch): Promise<void> {
    const { gaveUp, target: { sender, connection, telemetry } } = this;
    const { partition, records } = batch;
    for (let attempt = 1; !gaveUp.aborted; attempt++) {
      const startedMs = performance.now();
      try {
        // A request to a dead broker may take longer than we have.
        const place = await unlessAborted(sender.send(batch), gaveUp);
        if (place === undefined) break;
        return telemetry.batchPublished(batch, place, performance.now() - startedMs);
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

  /** Halves a refused batch until the culprit stands alone, so that its neighbours are published. */
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

/** The promise's value, or undefined when the signal aborts first: nothing else ends the wait for a pipe. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) resolve(undefined);
    const onAbort = () => resolve(undefined);
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
