/**
 * The valid readings of a batch, in columns: an object for each record would be garbage. A new column also goes into the arrays
 * of `move_offsets.ts` and of `insertUnlessPresent` in `transactions.ts`.
 */
import { Buffer } from "node:buffer";
import type { Anomaly, Reading } from "../../_shared/record/heartbeat.ts";
import { binaryArray, type BinaryWriter, type ElementType } from "./copy.ts";
import { Customers } from "./customers.ts";

const MICROS = 1_000_000n;
const DAY_SECONDS = 86_400;
const ANOMALIES = [null, "low", "high"] as const;
const ANOMALY_BYTES = { low: Buffer.from("low"), high: Buffer.from("high"), none: null };

export class Readings {
  readonly customers: Customers;
  /** The number that `customers` gave to the customer. */
  readonly customer: Int32Array;
  /** Since the Unix epoch. `micros` (0 to 999,999) is separate, because a double cannot hold all microseconds up to year 9999. */
  readonly seconds: Float64Array;
  readonly micros: Int32Array;
  readonly heartRate: Int16Array;
  readonly #anomaly: Uint8Array;
  /** The index of the record in its batch. */
  readonly record: Int32Array;
  #count = 0;

  constructor(capacity: number) {
    this.customers = new Customers(capacity);
    this.customer = new Int32Array(capacity);
    this.seconds = new Float64Array(capacity);
    this.micros = new Int32Array(capacity);
    this.heartRate = new Int16Array(capacity);
    this.#anomaly = new Uint8Array(capacity);
    this.record = new Int32Array(capacity);
  }

  get count(): number {
    return this.#count;
  }

  // deno-lint-ignore house/max-parameters -- called for each record: an object would be garbage each time
  add(
    customer: number,
    seconds: number,
    micros: number,
    heartRate: number,
    anomaly: Anomaly | null,
    record: number,
  ): void {
    const row = this.#count++;
    this.customer[row] = customer;
    this.seconds[row] = seconds;
    this.micros[row] = micros;
    this.heartRate[row] = heartRate;
    this.#anomaly[row] = ANOMALIES.indexOf(anomaly);
    this.record[row] = record;
  }

  addReading({ customerId, ts, heartRate, anomaly }: Reading, record: number): void {
    const bytes = Buffer.from(customerId);
    const micros = Number(((ts % MICROS) + MICROS) % MICROS);
    const seconds = Number((ts - BigInt(micros)) / MICROS);
    this.add(this.customers.number(bytes, 0, bytes.length), seconds, micros, heartRate, anomaly, record);
  }

  anomaly(row: number): Anomaly | null {
    return ANOMALIES[this.#anomaly[row] ?? 0] ?? null;
  }

  /** Microseconds since the Unix epoch. */
  ts(row: number): bigint {
    return BigInt(this.seconds[row] ?? 0) * MICROS + BigInt(this.micros[row] ?? 0);
  }

  reading(row: number): Reading {
    const customerId = this.customers.text(this.customer[row] ?? 0);
    return { customerId, ts: this.ts(row), heartRate: this.heartRate[row] ?? 0, anomaly: this.anomaly(row) };
  }

  /** Days since the Unix epoch. */
  days(): Set<number> {
    const days = new Set<number>();
    let last: number | undefined;
    for (let row = 0; row < this.#count; row++) {
      const day = Math.floor((this.seconds[row] ?? 0) / DAY_SECONDS);
      if (day !== last) days.add(last = day);
    }
    return days;
  }

  isSameKey(a: number, b: number): boolean {
    return this.customer[a] === this.customer[b] && this.compareTime(a, b) === 0;
  }

  /** Orders all rows by customer, time and offset. All writers insert in this order, so two of them cannot deadlock. */
  ordered(): Int32Array {
    const ranks = this.customers.ranks();
    // A counting sort by customer. `starts` tells where the rows of each customer begin.
    const starts = new Int32Array(ranks.length + 1);
    for (let row = 0; row < this.#count; row++) {
      const rank = ranks[this.customer[row] ?? 0] ?? 0;
      starts[rank + 1] = (starts[rank + 1] ?? 0) + 1;
    }
    for (let rank = 0; rank < ranks.length; rank++) {
      starts[rank + 1] = (starts[rank + 1] ?? 0) + (starts[rank] ?? 0);
    }
    const rows = new Int32Array(this.#count);
    const next = starts.slice();
    for (let row = 0; row < this.#count; row++) {
      const rank = ranks[this.customer[row] ?? 0] ?? 0;
      const at = next[rank] ?? 0;
      rows[at] = row;
      next[rank] = at + 1;
    }
    for (let rank = 0; rank < ranks.length; rank++) {
      this.#orderByTime(rows, starts[rank] ?? 0, starts[rank + 1] ?? 0);
    }
    return rows;
  }

  /** Sorts only if needed: the readings of a customer usually arrive in order. */
  #orderByTime(rows: Int32Array, from: number, end: number): void {
    for (let at = from + 1; at < end; at++) {
      if (this.compareTime(rows[at - 1] ?? 0, rows[at] ?? 0) <= 0) continue;
      rows.subarray(from, end).sort((a, b) => this.compareTime(a, b) || a - b);
      return;
    }
  }

  compareTime(a: number, b: number): number {
    return (this.seconds[a] ?? 0) - (this.seconds[b] ?? 0) || (this.micros[a] ?? 0) - (this.micros[b] ?? 0);
  }
}

/** Rows ordered by customer and time, each key once. */
export interface OrderedReadings {
  readonly readings: Readings;
  readonly rows: Int32Array;
}

export const HEARTBEATS = "public.heartbeats (customer_id, ts, heart_rate, anomaly)";

type AddColumn = (out: BinaryWriter, readings: Readings, row: number) => void;

export const READING_COLUMNS: readonly { readonly type: ElementType; readonly add: AddColumn }[] = [
  { type: "text", add: (out, { customers, customer }, row) => out.customer(customers, customer[row] ?? 0) },
  {
    type: "timestamptz",
    add: (out, { seconds, micros }, row) => out.timestamptz(seconds[row] ?? 0, micros[row] ?? 0),
  },
  { type: "int2", add: (out, { heartRate }, row) => out.int16(heartRate[row] ?? 0) },
  { type: "text", add: (out, readings, row) => out.bytea(ANOMALY_BYTES[readings.anomaly(row) ?? "none"]) },
];

export function readingArrays({ readings, rows }: OrderedReadings): Buffer[] {
  return READING_COLUMNS.map(({ type, add }) =>
    binaryArray(type, rows, (writer, row) => add(writer, readings, row))
  );
}

/** Joins the rows of several batches. The column `record` has no meaning in the result. */
export function joinReadings(parts: readonly OrderedReadings[]): OrderedReadings {
  if (parts[0] !== undefined && parts.length === 1) return parts[0];
  const all = new Readings(parts.reduce((sum, { rows }) => sum + rows.length, 0));
  for (const { readings, rows } of parts) {
    for (const row of rows) {
      all.add(
        all.customers.numberOf(readings.customers, readings.customer[row] ?? 0),
        readings.seconds[row] ?? 0,
        readings.micros[row] ?? 0,
        readings.heartRate[row] ?? 0,
        readings.anomaly(row),
        readings.record[row] ?? 0,
      );
    }
  }
  return { readings: all, rows: all.ordered() };
}
