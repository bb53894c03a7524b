/**
 * Writes PostgreSQL's binary formats for COPY and arrays, which are exact to the microsecond and need no escaping or parsing.
 * Layout of COPY: https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
import { Buffer } from "node:buffer";
import { finished } from "node:stream/promises";
// @ts-types="@types/pg-copy-streams"
import { type CopyStreamQuery, from as copyFrom } from "pg-copy-streams";
import type { Session } from "../../_shared/postgres.ts";
import { type Customers, MAX_CUSTOMER_BYTES } from "./customers.ts";

const SIGNATURE = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");
const END_OF_ROWS = -1;

/** Sends the output when it reaches this size. Otherwise a batch of large rejects would be in memory twice. */
const SEND_BYTES = 1024 * 1024;
/** Larger buffers are not reused: only rare rows of many hundreds of kilobytes need them. */
const MAX_SPARE_BYTES = 4 * 1024 * 1024;

/** Writers to reuse. Otherwise the garbage of many batches would pile up until V8 collects it. */
const spare: BinaryWriter[] = [];

/** @param target the table and its columns, as in `copy <target> from stdin` */
export async function copyInto(
  session: Session,
  target: string,
  { fields, count, add }: {
    readonly fields: number;
    readonly count: number;
    readonly add: (row: BinaryWriter, index: number) => void;
  },
): Promise<void> {
  let writer = spare.pop() ?? new BinaryWriter();
  let copying: Copying | undefined;
  writer.clear();
  writer.raw(SIGNATURE);
  for (let index = 0; index < count; index++) {
    writer.rawInt16(fields);
    add(writer, index);
    if (writer.length < SEND_BYTES) continue;
    copying ??= new Copying(session, target);
    for (const part of writer.written()) await copying.send(part);
    // The old writer cannot be reused, because the socket may still hold its last bytes.
    writer = new BinaryWriter();
  }
  writer.rawInt16(END_OF_ROWS);
  copying ??= new Copying(session, target);
  const parts = writer.written();
  for (const part of parts.slice(0, -1)) await copying.send(part);
  await copying.end(parts.at(-1));
  // Not earlier: if the COPY fails, the socket may still hold the bytes.
  if (writer.capacity <= MAX_SPARE_BYTES) spare.push(writer);
}

/** Waits after each write, because the stream accepts no more bytes after a failure. */
class Copying {
  readonly #stream: CopyStreamQuery;
  readonly #finished: Promise<void>;

  constructor(session: Session, target: string) {
    this.#stream = session.query(copyFrom(`copy ${target} from stdin (format binary)`));
    this.#finished = finished(this.#stream);
    // send() and end() report a failure. Between two calls, it would be an unhandled rejection.
    this.#finished.catch(() => {});
  }

  async send(bytes: Buffer): Promise<void> {
    if (bytes.length === 0) return;
    const sent = new Promise<void>((resolve) => this.#stream.write(bytes, () => resolve()));
    await Promise.race([sent, this.#finished]);
  }

  async end(bytes: Buffer | undefined): Promise<void> {
    this.#stream.end(bytes);
    await this.#finished;
  }
}

const NULL_LENGTH = -1;
/** 2000-01-01T00:00:00Z, in seconds since the Unix epoch. */
const POSTGRES_EPOCH_SECONDS = 946_684_800;
const MICROS = 1_000_000;
const TWO_TO_32 = 2 ** 32;
const FIRST_BYTES = 8 * 1024;
/** Values of at least this size are referenced and not copied. */
const LARGE_BYTES = 64 * 1024;

/** Writes fields of COPY and elements of arrays, each after its length. The raw methods write no length. */
export class BinaryWriter {
  #buffer: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #view = new DataView(this.#buffer.buffer);
  #length = 0;
  /** The output before position `#from` of `#buffer`. */
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

  /** @param value a safe integer */
  int64(value: number): void {
    this.rawInt32(8);
    this.#reserve(8);
    const high = Math.floor(value / TWO_TO_32);
    this.#view.setInt32(this.#length, high);
    this.#view.setUint32(this.#length + 4, value - high * TWO_TO_32);
    this.#length += 8;
  }

  timestamptz(seconds: number, micros: number): void {
    const total = (seconds - POSTGRES_EPOCH_SECONDS) * MICROS + micros;
    // Instants more than 285 years from 2000 need more than the 53 bits of a double.
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

  bytea(value: Uint8Array | null): void {
    if (value === null) return this.null();
    this.rawInt32(value.length);
    this.raw(value);
  }

  customer(customers: Customers, customer: number): void {
    // The length is known only after copying.
    this.#reserve(4 + MAX_CUSTOMER_BYTES);
    const length = customers.copy(customer, this.#buffer, this.#length + 4);
    this.#view.setInt32(this.#length, length);
    this.#length += 4 + length;
  }

  /** @param value must not change until it is sent */
  raw(value: Uint8Array): void {
    if (value.length < LARGE_BYTES) {
      this.#reserve(value.length);
      this.#buffer.set(value, this.#length);
      this.#length += value.length;
      return;
    }
    const before = this.#buffer.subarray(this.#from, this.#length);
    this.#parts.push(before, Buffer.from(value.buffer, value.byteOffset, value.byteLength));
    this.#partBytes += before.length + value.length;
    this.#from = this.#length;
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

  written(): readonly Buffer[] {
    return [...this.#parts, this.#buffer.subarray(this.#from, this.#length)];
  }

  get length(): number {
    return this.#partBytes + this.#length - this.#from;
  }

  get capacity(): number {
    return this.#buffer.length;
  }

  clear(): void {
    this.#length = 0;
    this.#from = 0;
    this.#parts = [];
    this.#partBytes = 0;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#length + bytes));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
    this.#view = new DataView(larger.buffer);
  }
}

/** Type numbers: https://www.postgresql.org/docs/18/catalog-pg-type.html */
const TYPE = { int2: 21, int4: 23, text: 25, timestamptz: 1184 } as const;
export type ElementType = keyof typeof TYPE;

/** Builds all arrays, which are then copied: V8 collects garbage more often if each has a large, nearly empty buffer. */
const ARRAYS = new BinaryWriter();

export function binaryArray<T>(
  type: ElementType,
  items: ArrayLike<T>,
  add: (writer: BinaryWriter, item: T) => void,
): Buffer {
  ARRAYS.clear();
  // Number of dimensions, flag for nulls, element type, length, index of the first element.
  for (const value of [1, 1, TYPE[type], items.length, 1]) ARRAYS.rawInt32(value);
  for (let index = 0; index < items.length; index++) {
    const item = items[index];
    if (item !== undefined) add(ARRAYS, item);
  }
  return Buffer.concat(ARRAYS.written());
}
