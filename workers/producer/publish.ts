/**
 * Publishes records on time, and each until Kafka has acknowledged it.
 *
 * Open loop: a record is offered at its instant whether or not the ones before are acknowledged, so a slow broker shows
 * as a backlog and never as a lower rate. Memory is bounded: once `MAX_QUEUED` records wait, no more are taken from the
 * source. They are not dropped: the source is a schedule or a file, its records keep their instants and follow, late,
 * as fast as Kafka takes them; how late is logged, measured and in the summary.
 */
import { murmur2, type Producer } from "@platformatic/kafka";
import type { KafkaConnection } from "../_shared/kafka.ts";
import type { Clock } from "./clock.ts";
import { deliver, type Delivery } from "./deliver.ts";
import type { OutgoingRecord } from "./generate.ts";
import { Tally } from "./tally.ts";
import type { ProducerTelemetry } from "./telemetry.ts";

/** A few megabytes, and more than Kafka takes in several ticks, so that looking for room once a tick is often enough. */
const MAX_QUEUED = 20_000;
/** The schedule is looked at this often, so that what is due by then travels in one request. */
const TICK_MS = 10;
/** A backlog in Kafka's hands is told at least this often. */
const MAX_PAUSE_MS = 1_000;
/** In one go before the event loop, with its sockets and signals, has its turn. */
const MAX_TAKEN_AT_ONCE = 2_000;
/** After SIGTERM what is in hand has this long, less than the process itself has. */
const FLUSH_MS = 7_000;

/**
 * A customer's records always travel in the same lane, and a lane has one request under way. So several are in flight
 * and yet a request that is tried again cannot be overtaken by a later one of the same customer.
 *
 * The client's idempotent mode would give the order too, but allows a single request in flight for all customers
 * together, retries within the client without end, where neither an outage nor SIGTERM can be seen, and after the
 * broker lost its state begins a new producer epoch that lets the duplicate in all the same. A record whose
 * acknowledgement was lost may therefore be in the topic twice, which the consumer counts as a duplicate.
 */
const LANES = 4;
const MAX_BATCH_RECORDS = 2_000;
/** Under the million bytes that brokers accept by default. */
const MAX_BATCH_BYTES = 512 * 1024;

export interface PublishOptions {
  readonly clock: Clock;
  /** Stops taking records; what was taken is still flushed. */
  readonly signal: AbortSignal;
  /** Of the schedule, to tell how many records are overdue; undefined when there is none. */
  readonly recordsPerSecond?: number;
  readonly onProgress?: (tally: Tally) => void;
}

type Source = Iterator<OutgoingRecord> | AsyncIterator<OutgoingRecord>;

export async function publish(
  source: Source,
  producer: Producer,
  connection: KafkaConnection,
  telemetry: ProducerTelemetry,
  options: PublishOptions,
): Promise<Tally> {
  const tally = new Tally();
  const gaveUp = new AbortController();
  const lanes = new Lanes({ producer, connection, telemetry, tally, gaveUp: gaveUp.signal });
  const { signal } = options;
  const onStop = () => {
    Deno.unrefTimer(setTimeout(() => gaveUp.abort(), FLUSH_MS));
  };
  signal.addEventListener("abort", onStop, { once: true });
  try {
    await offer(source, lanes, tally, telemetry, options);
    await lanes.idle();
  } finally {
    signal.removeEventListener("abort", onStop);
  }
  if (tally.failed > 0 && gaveUp.signal.aborted) telemetry.gaveUp(tally.failed);
  telemetry.finished();
  options.onProgress?.(tally);
  return tally;
}

/** Takes records from the source, each when it is due and there is room. */
async function offer(
  source: Source,
  lanes: Lanes,
  tally: Tally,
  telemetry: ProducerTelemetry,
  { clock, signal, recordsPerSecond = 0, onProgress }: PublishOptions,
): Promise<void> {
  let record = await take(source);
  for (let taken = 0; record !== undefined && !signal.aborted;) {
    const lateMs = record.dueMicros === undefined ? 0 : (clock.nowMicros() - record.dueMicros) / 1000;
    if (lateMs >= 0 && lanes.queued < MAX_QUEUED && taken < MAX_TAKEN_AT_ONCE) {
      tally.maxLateMs = Math.max(tally.maxLateMs, lateMs);
      tally.offered(record);
      lanes.push(record);
      taken++;
      const next = take(source);
      record = next instanceof Promise ? await next : next;
      continue;
    }
    lanes.start();
    const overdue = Math.max(0, Math.floor((lateMs / 1000) * recordsPerSecond));
    telemetry.backlogChanged({ records: lanes.queued + overdue, lateMs: Math.max(0, lateMs) });
    onProgress?.(tally);
    await clock.sleep(pauseMs(lateMs, lanes.queued), { signal });
    taken = 0;
  }
  lanes.start();
}

/** Until the next record is due, or there may be room; nothing but a turn for the event loop when we are behind. */
function pauseMs(lateMs: number, queued: number): number {
  if (lateMs < 0) return Math.min(MAX_PAUSE_MS, Math.max(TICK_MS, -lateMs));
  return queued >= MAX_QUEUED ? TICK_MS : 0;
}

/** Of a synchronous source without the detour over a promise: that alone would halve the rate. */
function take(source: Source): OutgoingRecord | undefined | Promise<OutgoingRecord | undefined> {
  const step = source.next();
  if (step instanceof Promise) return step.then(({ done, value }) => (done ? undefined : value));
  return step.done ? undefined : step.value;
}

/** Queues of records, each emptied in order by one request after the other. */
class Lanes {
  readonly #delivery: Delivery;
  readonly #queues: OutgoingRecord[][] = Array.from({ length: LANES }, () => []);
  readonly #running = new Map<OutgoingRecord[], Promise<void>>();
  #queued = 0;

  constructor(delivery: Delivery) {
    this.#delivery = delivery;
  }

  /** Offered and not yet acknowledged or given up. */
  get queued(): number {
    return this.#queued;
  }

  push(record: OutgoingRecord): void {
    this.#queues[(murmur2(record.key) >>> 0) % LANES]?.push(record);
    this.#queued++;
  }

  start(): void {
    for (const queue of this.#queues) {
      if (queue.length === 0 || this.#running.has(queue)) continue;
      this.#running.set(queue, this.#empty(queue).finally(() => this.#running.delete(queue)));
    }
  }

  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  async #empty(queue: OutgoingRecord[]): Promise<void> {
    while (queue.length > 0) {
      const batch = queue.splice(0, batchLength(queue));
      await deliver(batch, this.#delivery);
      this.#queued -= batch.length;
    }
  }
}

function batchLength(queue: readonly OutgoingRecord[]): number {
  let bytes = 0;
  for (const [index, record] of queue.entries()) {
    bytes += sizeOf(record);
    if (index > 0 && (index === MAX_BATCH_RECORDS || bytes > MAX_BATCH_BYTES)) return index;
  }
  return queue.length;
}

function sizeOf({ key, value }: OutgoingRecord): number {
  return key.length + (value?.length ?? 0);
}
