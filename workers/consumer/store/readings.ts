/**
 * The valid readings of a batch, in columns: to order, write and add them up touches numbers and no objects. A new column
 * also goes into the SQL of `batch_transaction.ts` (COPY, staging table, insert) and of `conclude.ts`.
 */
import { Buffer } from "node:buffer";
import type { Anomaly, Reading } from "../../_shared/record/heartbeat.ts";
import { binaryArray } from "./copy.ts";

const MICROS = 1_000_000n;
const DAY_SECONDS = 86_400;
/** By the numbers that the column `anomaly` holds. */
const ANOMALIES = [null, "low", "high"] as const;

export class Readings {
  readonly customers: Customers;
  /** Its number. */
  readonly customer: Int32Array;
  /** Since the Unix epoch; whole microseconds of our era's first and last years are more than a double holds. */
  readonly seconds: Float64Array;
  /** 0 to 999,999, to be added to the seconds. */
  readonly micros: Int32Array;
  /** Beats per minute. */
  readonly heartRate: Int16Array;
  readonly #anomaly: Uint8Array;
  /** Place of the record that brought it, among the batch's records. */
  readonly record: Int32Array;
  #count = 0;

  /** @param capacity how many will be added, at most */
  constructor(capacity: number) {
    this.customers = new Customers(capacity);
    this.customer = new Int32Array(capacity);
    this.seconds = new Float64Array(capacity);
    this.micros = new Int32Array(capacity);
    this.heartRate = new Int16Array(capacity);
    this.#anomaly = new Uint8Array(capacity);
    this.record = new Int32Array(capacity);
  }

  /** Rows of several as one's; the places of the records that brought them mean nothing any more. */
  static joined(parts: readonly { readonly readings: Readings; readonly rows: Int32Array }[]): Readings {
    const all = new Readings(parts.reduce((sum, { rows }) => sum + rows.length, 0));
    for (const { readings, rows } of parts) {
      for (const row of rows) {
        const customer = readings.customers.bytes(readings.customer[row] ?? 0);
        all.add(
          all.customers.number(customer, 0, customer.length),
          readings.seconds[row] ?? 0,
          readings.micros[row] ?? 0,
          readings.heartRate[row] ?? 0,
          readings.anomaly(row),
          readings.record[row] ?? 0,
        );
      }
    }
    return all;
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
    return {
      customerId: this.customers.text(this.customer[row] ?? 0),
      ts: this.ts(row),
      heartRate: this.heartRate[row] ?? 0,
      anomaly: this.anomaly(row),
    };
  }

  /** The days that they lie in, counted since the Unix epoch. */
  days(): Set<number> {
    const days = new Set<number>();
    let known: number | undefined;
    for (let row = 0; row < this.#count; row++) {
      const day = Math.floor((this.seconds[row] ?? 0) / DAY_SECONDS);
      // Neighbours mostly share it.
      if (day !== known) days.add(known = day);
    }
    return days;
  }

  isSameKey(a: number, b: number): boolean {
    return this.customer[a] === this.customer[b] && this.compareTime(a, b) === 0;
  }

  /**
   * The rows by customer, then by time, and those with the same key in the order in which they came. All writers write
   * in this order, so that two which insert the same keys wait for each other and never in a circle; and neighbours in
   * the index are written together.
   */
  ordered(): Int32Array {
    const ranks = this.customers.ranks();
    // Counted by customer first: where each one's rows begin in the order.
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

  /** A customer's readings mostly come in order: then there is nothing to do. */
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

/** Readings as arrays of PostgreSQL: customer_id, ts, heart_rate and anomaly. */
export function readingColumns(readings: Readings, rows: ArrayLike<number>): Buffer[] {
  const { customers, customer, seconds, micros, heartRate } = readings;
  return [
    binaryArray("text", rows, (writer, row) => writer.customer(customers, customer[row] ?? 0)),
    binaryArray(
      "timestamptz",
      rows,
      (writer, row) => writer.timestamptz(seconds[row] ?? 0, micros[row] ?? 0),
    ),
    binaryArray("int2", rows, (writer, row) => writer.int16(heartRate[row] ?? 0)),
    binaryArray("text", rows, (writer, row) => {
      const anomaly = readings.anomaly(row);
      if (anomaly === null) writer.null();
      else writer.text(anomaly);
    }),
  ];
}

/** Multiplier and start of FNV-1a, 32 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
const FNV_PRIME = 0x01000193;
const FNV_START = 0x811c9dc5;
const EMPTY = -1;
/** Memory for the first customers; more is taken when they are longer. */
const USUAL_BYTES = 16;
const MOST_FIRST_BYTES = 4_096;
/**
 * Slots that are looked at before a customer goes to the overflow map. In a table that is half full an ordinary id needs
 * two or three. FNV-1a has no seed, so somebody who chooses the ids can give all of them one hash.
 */
const MOST_PROBES = 8;

export class Customers {
  /** UTF-8 of all, one behind the other. */
  #bytes: Buffer;
  /** Where each one's bytes begin; and behind the last, where they end. */
  readonly #starts: number[] = [0];
  readonly #slots: Int32Array;
  readonly #hashes: number[] = [];
  /** Customers that found no slot, by their bytes as text. The engine's hash of a text has a secret seed. */
  readonly #overflow = new Map<string, number>();

  /** @param most how many different ones will be added, at most */
  constructor(most: number) {
    this.#bytes = Buffer.allocUnsafeSlow(Math.min(MOST_FIRST_BYTES, most * USUAL_BYTES));
    // A power of two, at most half full, so that probing mostly stays short.
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(Math.max(1, most) * 2))).fill(EMPTY);
  }

  get count(): number {
    return this.#hashes.length;
  }

  /** The number of the customer with these bytes: 0 for the first that was seen, 1 for the next. */
  number(source: Uint8Array, from: number, end: number): number {
    let hash = FNV_START;
    for (let at = from; at < end; at++) hash = Math.imul(hash ^ (source[at] ?? 0), FNV_PRIME);
    const mask = this.#slots.length - 1;
    // FNV's low bits vary least with the last characters: fold the high ones in.
    const first = hash ^ (hash >>> 15);
    for (let probe = 0; probe < MOST_PROBES; probe++) {
      const slot = (first + probe) & mask;
      const known = this.#slots[slot] ?? EMPTY;
      if (known === EMPTY) {
        this.#slots[slot] = this.count;
        return this.#add(source, from, end, hash);
      }
      if (this.#hashes[known] === hash && this.#is(known, source, from, end)) return known;
    }
    // V8 hashes a text of digits without its seed; behind a letter no text is a number.
    const key = `c${Buffer.from(source.buffer, source.byteOffset + from, end - from).toString("latin1")}`;
    const known = this.#overflow.get(key);
    if (known !== undefined) return known;
    this.#overflow.set(key, this.count);
    return this.#add(source, from, end, hash);
  }

  bytes(customer: number): Buffer {
    return this.#bytes.subarray(this.#starts[customer], this.#starts[customer + 1]);
  }

  text(customer: number): string {
    return this.bytes(customer).toString();
  }

  /** @returns how many bytes were copied */
  copy(customer: number, target: Buffer, at: number): number {
    const start = this.#starts[customer] ?? 0;
    const end = this.#starts[customer + 1] ?? start;
    // Shorter than what a call of copy() costs.
    for (let from = start; from < end; from++) target[at + from - start] = this.#bytes[from] ?? 0;
    return end - start;
  }

  /** The place of each in the order of bytes, which is that of PostgreSQL's collation "C". */
  ranks(): Int32Array {
    const ordered = Array.from({ length: this.count }, (_, customer) => customer)
      .sort((a, b) => Buffer.compare(this.bytes(a), this.bytes(b)));
    const ranks = new Int32Array(this.count);
    ordered.forEach((customer, rank) => ranks[customer] = rank);
    return ranks;
  }

  #add(source: Uint8Array, from: number, end: number, hash: number): number {
    const start = this.#starts.at(-1) ?? 0;
    const needed = start + end - from;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, start);
      this.#bytes = larger;
    }
    this.#bytes.set(source.subarray(from, end), start);
    this.#starts.push(needed);
    return this.#hashes.push(hash) - 1;
  }

  #is(customer: number, source: Uint8Array, from: number, end: number): boolean {
    const start = this.#starts[customer] ?? 0;
    if ((this.#starts[customer + 1] ?? 0) - start !== end - from) return false;
    for (let at = from; at < end; at++) {
      if (this.#bytes[start + at - from] !== source[at]) return false;
    }
    return true;
  }
}
