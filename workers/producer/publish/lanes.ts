/** What waits to be sent, by partition. */
import { deliver, type Delivery } from "./deliver.ts";
import type { OutgoingRecord } from "../generate.ts";
import { partitionOf } from "../../_shared/kafka/partitioner.ts";

const MAX_BATCH_RECORDS = 2_000;
/** Under the million bytes that brokers accept by default. */
const MAX_BATCH_BYTES = 512 * 1024;

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
export class Lanes {
  readonly #delivery: Delivery;
  readonly #queues: readonly OutgoingRecord[][];
  readonly #running = new Map<number, Promise<void>>();
  #queued = 0;

  constructor(delivery: Delivery) {
    this.#delivery = delivery;
    this.#queues = Array.from({ length: delivery.partitions }, () => []);
  }

  /** Offered and not yet acknowledged or given up. */
  get queued(): number {
    return this.#queued;
  }

  push(record: OutgoingRecord): void {
    this.#queues[partitionOf(record.key, this.#queues.length)]?.push(record);
    this.#queued++;
  }

  /** Sends what waits; what is pushed meanwhile follows in the next batch. */
  start(): void {
    for (const [partition, queue] of this.#queues.entries()) {
      if (queue.length === 0 || this.#running.has(partition)) continue;
      this.#running.set(
        partition,
        this.#empty(partition, queue).finally(() => this.#running.delete(partition)),
      );
    }
  }

  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  async #empty(partition: number, queue: OutgoingRecord[]): Promise<void> {
    while (queue.length > 0) {
      const records = queue.splice(0, batchLength(queue));
      await deliver({ partition, records }, this.#delivery);
      this.#queued -= records.length;
    }
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
