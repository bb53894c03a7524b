/** The same readings as a topic and as a file: what one contender reads, the other can copy. */
import type { Buffer } from "node:buffer";
import type { Sender } from "../../workers/_shared/kafka/sender.ts";
import { CUSTOMERS, heartRateOf, nameOf } from "./large_table.ts";
import { readingsBatch, sendBatches, type TimedReading } from "./readings_batch.ts";

/** How often a customer is measured, as the Fitbit data that this project tries things on. */
const INTERVAL_MS = 5_000;
/** About 200 KB, however many partitions and customers there are: what a reading costs depends on it. */
const READINGS_A_BATCH = 2_000;

/** Readings of some customers in the order in which they were measured. */
export class PreparedLog {
  readonly records: number;
  readonly partitions: number;
  readonly #customers: number;
  readonly #rounds: number;
  readonly #startMs: number;

  /**
   * @param records rounded up to whole rounds
   * @param endMs the instant behind the last reading, milliseconds since the Unix epoch
   */
  constructor(records: number, partitions: number, endMs: number, customers = CUSTOMERS) {
    this.#rounds = Math.ceil(records / customers);
    this.records = this.#rounds * customers;
    this.partitions = partitions;
    this.#customers = customers;
    this.#startMs = Math.floor(endMs / 1000) * 1000 - this.#rounds * INTERVAL_MS;
  }

  /** The first instant, and one behind the last; milliseconds since the Unix epoch. */
  get range(): readonly [fromMs: number, endMs: number] {
    return [this.#startMs, this.#startMs + this.#rounds * INTERVAL_MS];
  }

  /** The last reading of each partition: while one of them is missing, not everything is stored. */
  get lastReadings(): readonly { readonly customer: string; readonly at: Date }[] {
    const last = new Map<number, TimedReading>();
    for (const reading of this.#readings(this.#rounds - 1, this.#rounds)) {
      last.set(reading.customer % this.partitions, reading);
    }
    return [...last.values()].map(({ customer, at }) => ({ customer: nameOf(customer), at: new Date(at) }));
  }

  /** A customer's records are all in one partition, as a producer's key does it. */
  async publish(sender: Sender): Promise<void> {
    const filling = Array.from({ length: this.partitions }, (): TimedReading[] => []);
    const full: [partition: number, batch: Buffer][] = [];
    // Customers take turns, so that the partitions' batches are full at about the same time.
    const send = async () => {
      await sendBatches(sender, full);
      full.length = 0;
    };
    const close = (partition: number, readings: TimedReading[]) => {
      if (readings.length > 0) full.push([partition, readingsBatch(readings)]);
      readings.length = 0;
    };
    for (const reading of this.#readings(0, this.#rounds)) {
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
    for (let round = 0; round < this.#rounds; round++) {
      let lines = "";
      for (const { customer, at, heartRate } of this.#readings(round, round + 1)) {
        lines += `${nameOf(customer)},${new Date(at).toISOString()},${heartRate}\n`;
      }
      const bytes = encoder.encode(lines);
      for (let sent = 0; sent < bytes.length;) sent += await file.write(bytes.subarray(sent));
    }
  }

  *#readings(fromRound: number, endRound: number): Generator<TimedReading> {
    // A millisecond apart, or as far as there is room before the next round.
    const spread = Math.min(1, INTERVAL_MS / this.#customers);
    for (let round = fromRound; round < endRound; round++) {
      for (let customer = 0; customer < this.#customers; customer++) {
        const at = this.#startMs + round * INTERVAL_MS + Math.floor(customer * spread);
        yield { customer, at, heartRate: heartRateOf(customer, round) };
      }
    }
  }
}
