import type { Buffer } from "node:buffer";
import type { Sender } from "../../workers/_shared/kafka/sender.ts";
import { Fleet, nameOf, type TimedReading } from "./fleet.ts";
import { instantText, readingsBatch, sendBatches } from "./readings_batch.ts";
import type { Shape } from "./shapes.ts";

/**
 * About 200 KB. The number is the same for any number of partitions and customers, because the cost of a reading depends on
 * the size of its batch.
 */
const READINGS_PER_BATCH = 2_000;
const LINES_PER_WRITE = 10_000;

export interface LogShape extends Shape {
  readonly records: number;
  readonly partitions: number;
  /** The log ends before this instant, in milliseconds since the Unix epoch. */
  readonly endMs: number;
}

/** Readings of a fleet in the order of time. A topic and a file get the same readings, so COPY and consumers do too. */
export class PreparedLog {
  readonly records: number;
  readonly partitions: number;
  readonly #fleet: Fleet;
  readonly #startMs: number;

  constructor({ customers, intervalSeconds, records, partitions, endMs }: LogShape) {
    this.records = records;
    this.partitions = partitions;
    this.#fleet = new Fleet(customers, intervalSeconds * 1000);
    // With start 0, the instant of the last reading is the log's duration.
    this.#startMs = Math.floor((endMs - 1 - this.#fleet.reading(records - 1, 0).at) / 1000) * 1000;
  }

  /** Start of the first interval, and end (exclusive) of the readings, in milliseconds since the Unix epoch. */
  get range(): readonly [fromMs: number, endMs: number] {
    return [this.#startMs, this.#reading(this.records - 1).at + 1];
  }

  /** The last reading of each partition. Until the table has all of them, readings are missing. */
  get lastReadings(): readonly { readonly customer: string; readonly at: Date }[] {
    const last = new Map<number, TimedReading>();
    const lastCycle = Math.max(0, this.records - this.#fleet.customers);
    for (let index = this.records - 1; index >= lastCycle && last.size < this.partitions; index--) {
      const reading = this.#reading(index);
      const partition = reading.customer % this.partitions;
      if (!last.has(partition)) last.set(partition, reading);
    }
    return [...last.values()].map(({ customer, at }) => ({ customer: nameOf(customer), at: new Date(at) }));
  }

  /** All records of a customer go to one partition, as with a producer's key. */
  async publish(sender: Pick<Sender, "sendBatches">): Promise<void> {
    const filling = Array.from({ length: this.partitions }, (): TimedReading[] => []);
    const request: [partition: number, batch: Buffer][] = [];
    const sendRequest = async () => {
      if (request.length > 0) await sendBatches(sender, request);
      request.length = 0;
    };
    const addBatch = async (partition: number, readings: TimedReading[]) => {
      if (readings.length === 0) return;
      // A request can contain only one batch of a partition.
      if (request.some(([added]) => added === partition)) await sendRequest();
      request.push([partition, readingsBatch(readings)]);
      readings.length = 0;
    };
    for (let index = 0; index < this.records; index++) {
      const reading = this.#reading(index);
      const partition = reading.customer % this.partitions;
      const readings = filling[partition] ?? [];
      if (readings.push(reading) === READINGS_PER_BATCH) await addBatch(partition, readings);
    }
    await sendRequest();
    for (const [partition, readings] of filling.entries()) await addBatch(partition, readings);
    await sendRequest();
  }

  /** Columns: customer, timestamp, heart rate. */
  async writeCsv(path: string): Promise<void> {
    using file = await Deno.open(path, { write: true, create: true, truncate: true });
    const encoder = new TextEncoder();
    for (let from = 0; from < this.records; from += LINES_PER_WRITE) {
      let lines = "";
      for (let index = from; index < Math.min(this.records, from + LINES_PER_WRITE); index++) {
        const { customer, at, heartRate } = this.#reading(index);
        lines += `${nameOf(customer)},${instantText(at)},${heartRate}\n`;
      }
      const bytes = encoder.encode(lines);
      for (let sent = 0; sent < bytes.length;) sent += await file.write(bytes.subarray(sent));
    }
  }

  #reading(index: number): TimedReading {
    return this.#fleet.reading(index, this.#startMs);
  }
}
