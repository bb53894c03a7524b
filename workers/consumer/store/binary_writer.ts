/**
 * Values in PostgreSQL's binary format, each behind its length: the fields of COPY and the elements of arrays. Instants
 * stay exact to the microsecond, bytes need no escaping, and neither side formats or parses text.
 */
import { Buffer } from "node:buffer";
import type { Customers } from "./customers.ts";

const NULL_LENGTH = -1;
/** Seconds from the Unix epoch to PostgreSQL's, 2000-01-01. */
const POSTGRES_EPOCH_SECONDS = 946_684_800;
const MICROS = 1_000_000;
const TWO_TO_32 = 2 ** 32;
const FIRST_BYTES = 8 * 1024;
/** From this length on bytes are referred to, and not copied. */
const LARGE_BYTES = 64 * 1024;

export class BinaryWriter {
  #buffer: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #view = viewOf(this.#buffer);
  #length = 0;
  /** What lies before the bytes from `#from` on. */
  #parts: Buffer[] = [];
  #partBytes = 0;
  #from = 0;

  null(): void {
    this.rawInt32(NULL_LENGTH);
  }

  int16(value: number): void {
    this.rawInt32(2);
    this.rawInt16(value);
  }

  int32(value: number): void {
    this.rawInt32(4);
    this.rawInt32(value);
  }

  /** @param value a whole number that a double holds exactly */
  int64(value: number): void {
    this.rawInt32(8);
    this.#rawInt64(value);
  }

  /**
   * @param seconds whole ones since the Unix epoch
   * @param micros 0 to 999,999, to be added
   */
  timestamptz(seconds: number, micros: number): void {
    const total = (seconds - POSTGRES_EPOCH_SECONDS) * MICROS + micros;
    if (Number.isSafeInteger(total)) return this.int64(total);
    this.rawInt32(8);
    this.#reserve(8);
    const exact = BigInt(seconds - POSTGRES_EPOCH_SECONDS) * BigInt(MICROS) + BigInt(micros);
    this.#view.setBigInt64(this.#length, exact);
    this.#length += 8;
  }

  text(value: string): void {
    this.bytea(Buffer.from(value));
  }

  bytea(value: Uint8Array): void {
    this.rawInt32(value.length);
    this.raw(value);
  }

  customer(customers: Customers, customer: number): void {
    // Its length is known once it is copied; 128 characters of four bytes are the most.
    this.#reserve(4 + MOST_CUSTOMER_BYTES);
    const length = customers.copy(customer, this.#buffer, this.#length + 4);
    this.#view.setInt32(this.#length, length);
    this.#length += 4 + length;
  }

  /** Without a length before it, as the following ones. Large bytes must stay as they are until they are sent. */
  raw(value: Uint8Array): void {
    if (value.length >= LARGE_BYTES) return this.#refer(value);
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  rawInt16(value: number): void {
    this.#reserve(2);
    this.#view.setInt16(this.#length, value);
    this.#length += 2;
  }

  rawInt32(value: number): void {
    this.#reserve(4);
    this.#view.setInt32(this.#length, value);
    this.#length += 4;
  }

  /** All of it, in order. */
  written(): readonly Buffer[] {
    return [...this.#parts, this.#buffer.subarray(this.#from, this.#length)];
  }

  /** How much was written since it began anew. */
  get length(): number {
    return this.#partBytes + this.#length - this.#from;
  }

  /** Memory that it holds. */
  get capacity(): number {
    return this.#buffer.length;
  }

  /** Begins anew in the same memory: what was written before is no more. */
  clear(): void {
    this.#length = 0;
    this.#from = 0;
    this.#parts = [];
    this.#partBytes = 0;
  }

  #refer(value: Uint8Array): void {
    const before = this.#buffer.subarray(this.#from, this.#length);
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    this.#parts.push(before, bytes);
    this.#partBytes += before.length + bytes.length;
    this.#from = this.#length;
  }

  #rawInt64(value: number): void {
    this.#reserve(8);
    const high = Math.floor(value / TWO_TO_32);
    this.#view.setInt32(this.#length, high);
    this.#view.setUint32(this.#length + 4, value - high * TWO_TO_32);
    this.#length += 8;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#length + bytes));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
    this.#view = viewOf(larger);
  }
}

const MOST_CUSTOMER_BYTES = 128 * 4;

function viewOf(buffer: Buffer): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

/** Numbers of PostgreSQL's types: https://www.postgresql.org/docs/18/catalog-pg-type.html */
const TYPE = { int2: 21, int4: 23, int8: 20, text: 25, timestamptz: 1184 } as const;

export type ElementType = keyof typeof TYPE;

/**
 * Each array is written here and copied at its own length: buffers of kilobytes for a few elements are what V8's
 * collector counts, and collects for.
 */
const ARRAYS = new BinaryWriter();

/**
 * A parameter that is an array without nulls.
 *
 * @param add adds the element at this index
 */
export function binaryArray(
  type: ElementType,
  count: number,
  add: (writer: BinaryWriter, index: number) => void,
): Buffer {
  ARRAYS.clear();
  // Dimensions, no nulls, the elements' type; then of the one dimension its length and its first index.
  for (const value of [1, 0, TYPE[type], count, 1]) ARRAYS.rawInt32(value);
  for (let index = 0; index < count; index++) add(ARRAYS, index);
  return Buffer.concat(ARRAYS.written());
}
