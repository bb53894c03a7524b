/** The same readings as a topic and as a file: what one contender reads, the other can copy. */
import type { Buffer } from "node:buffer";
import type { Sender } from "../../workers/_shared/kafka/sender.ts";
import { Fleet, nameOf, type TimedReading } from "./fleet.ts";
import { instantText, readingsBatch, sendBatches } from "./readings_batch.ts";
import type { Shape } from "./shapes.ts";

/** About 200 KB, however many partitions and customers there are: what a reading costs depends on it. */
const READINGS_A_BATCH = 2_000;
const LINES_A_WRITE = 10_000;

export interface LogShape extends Shape {
  readonly records: number;
  readonly partitions: number;
  /** The instant behind the last reading, milliseconds since the Unix epoch. */
  readonly endMs: number;
}

/** Readings of a fleet in the order in which they were measured. */
export class PreparedLog {
  readonly records: number;
  readonly partitions: number;
  readonly #fleet: Fleet;
  readonly #startMs: number;

  constructor({ customers, intervalSeconds, records, partitions, endMs }: LogShape) {
    this.records = records;
    this.partitions = partitions;
    this.#fleet = new Fleet(customers, intervalSeconds * 1000);
    // A whole second, as if somebody had looked at a clock.
    this.#startMs = Math.floor((endMs - 1 - this.#fleet.reading(records - 1, 0).at) / 1000) * 1000;
  }

  /** The first round's begin, and one behind the last reading; milliseconds since the Unix epoch. */
  get range(): readonly [fromMs: number, endMs: number] {
    return [this.#startMs, this.#reading(this.records - 1).at + 1];
  }

  /** The last reading of each partition: while one of them is missing, not everything is stored. */
  get lastReadings(): readonly { readonly customer: string; readonly at: Date }[] {
    const last = new Map<number, TimedReading>();
    const lastRound = Math.max(0, this.records - this.#fleet.customers);
    for (let index = this.records - 1; index >= lastRound && last.size < this.partitions; index--) {
      const reading = this.#reading(index);
      const partition = reading.customer % this.partitions;
      if (!last.has(partition)) last.set(partition, reading);
    }
    return [...last.values()].map(({ customer, at }) => ({ customer: nameOf(customer), at: new Date(at) }));
  }

  /** A customer's records are all in one partition, as a producer's key does it. */
  async publish(sender: Pick<Sender, "sendBatches">): Promise<void> {
    const filling = Array.from({ length: this.partitions }, (): TimedReading[] => []);
    const full: [partition: number, batch: Buffer][] = [];
    const send = async () => {
      await sendBatches(sender, full);
      full.length = 0;
    };
    const close = (partition: number, readings: TimedReading[]) => {
      if (readings.length > 0) full.push([partition, readingsBatch(readings)]);
      readings.length = 0;
    };
    for (let index = 0; index < this.records; index++) {
      const reading = this.#reading(index);
      const partition = reading.customer % this.partitions;
      const readings = filling[partition] ?? [];
      if (readings.push(reading) < READINGS_A_BATCH) continue;
      // A request takes one batch of each partition.
      if (full.some(([one]) => one === partition)) await send();
      close(partition, readings);
    }
    if (full.length > 0) await send();
    filling.forEach((readings, partition) => close(partition, readings));
    if (full.length > 0) await send();
  }

  /** Lines of CSV: customer, instant, heart rate. */
  async writeCsv(path: string): Promise<void> {
    using file = await Deno.open(path, { write: true, create: true, truncate: true });
    const encoder = new TextEncoder();
    for (let from = 0; from < this.records; from += LINES_A_WRITE) {
      let lines = "";
      for (let index = from; index < Math.min(this.records, from + LINES_A_WRITE); index++) {
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
