/**
 * PostgreSQL's binary COPY format: instants stay exact to the microsecond, any bytes need no escaping, and neither side
 * formats or parses text. Layout: https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
import { Buffer } from "node:buffer";
import { finished } from "node:stream/promises";
// @ts-types="@types/pg-copy-streams"
import { type CopyStreamQuery, from as copyFrom } from "pg-copy-streams";
import type { Session } from "../../_shared/postgres.ts";

const SIGNATURE = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");
const END_OF_ROWS = -1;

/** Data is sent in pieces of this size, or a batch of large rejects would be in memory a second time. */
const PIECE_BYTES = 1024 * 1024;
/** Larger buffers are not kept: they held rare rows of many hundreds of kilobytes. */
const KEPT_AT_MOST_BYTES = 4 * 1024 * 1024;

/** At most as many as there were transactions at once. */
const spare: BinaryWriter[] = [];

/**
 * Sends rows to a table. Their buffers are reused: left to the garbage collector, those of many batches would pile up.
 *
 * @param target table with its columns, as in `copy <target> from stdin`
 * @param rows the number of fields of a row, the number of rows, and a function that adds the fields of one
 * @throws what PostgreSQL answered; none of the rows is stored then
 */
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
    if (writer.length < PIECE_BYTES) continue;
    copying ??= new Copying(session, target);
    for (const part of writer.written()) await copying.send(part);
    // The socket may still hold the last bytes.
    writer = new BinaryWriter();
  }
  writer.rawInt16(END_OF_ROWS);
  copying ??= new Copying(session, target);
  const parts = writer.written();
  for (const part of parts.slice(0, -1)) await copying.send(part);
  await copying.end(parts.at(-1));
  // Only now: after a failure the socket may still hold the bytes.
  if (writer.capacity <= KEPT_AT_MOST_BYTES) spare.push(writer);
}

/** A COPY under way. Pieces are sent one at a time, since after a failure the stream takes no more. */
class Copying {
  readonly #stream: CopyStreamQuery;
  readonly #finished: Promise<void>;

  constructor(session: Session, target: string) {
    this.#stream = session.query(copyFrom(`copy ${target} from stdin (format binary)`));
    this.#finished = finished(this.#stream);
    // send() and end() report a failure; between two pieces it would be an unhandled rejection.
    this.#finished.catch(() => {});
  }

  /** @returns when there is room for more */
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
/** Seconds from the Unix epoch to PostgreSQL's, 2000-01-01. */
const POSTGRES_EPOCH_SECONDS = 946_684_800;
const MICROS = 1_000_000;
const TWO_TO_32 = 2 ** 32;
const FIRST_BYTES = 8 * 1024;
/** Bytes from this length on are referenced, and not copied. */
const LARGE_BYTES = 64 * 1024;

/** 128 characters of four bytes. */
const MOST_CUSTOMER_BYTES = 128 * 4;

/** Values, each preceded by its length: the fields of COPY and the elements of arrays. */
export class BinaryWriter {
  #buffer: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #view = new DataView(this.#buffer.buffer);
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
    this.#reserve(8);
    const high = Math.floor(value / TWO_TO_32);
    this.#view.setInt32(this.#length, high);
    this.#view.setUint32(this.#length + 4, value - high * TWO_TO_32);
    this.#length += 8;
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

  customer(customers: { copy(customer: number, to: Buffer, at: number): number }, customer: number): void {
    // The length is known only after copying.
    this.#reserve(4 + MOST_CUSTOMER_BYTES);
    const length = customers.copy(customer, this.#buffer, this.#length + 4);
    this.#view.setInt32(this.#length, length);
    this.#length += 4 + length;
  }

  /** Without a length, like the other raw methods. Large bytes must not change until they are sent. */
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

  /** Bytes written since `clear`. */
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

/** Numbers of PostgreSQL's types: https://www.postgresql.org/docs/18/catalog-pg-type.html */
const TYPE = { int2: 21, int4: 23, text: 25, timestamptz: 1184 } as const;
export type ElementType = keyof typeof TYPE;

/** Each array is written here and copied at its own length: V8 collects more often for large, nearly empty buffers. */
const ARRAYS = new BinaryWriter();

/** An array as a parameter of a statement. @param add writes the element of this item */
export function binaryArray<T>(
  type: ElementType,
  items: ArrayLike<T>,
  add: (writer: BinaryWriter, item: T) => void,
): Buffer {
  ARRAYS.clear();
  // Number of dimensions, flag for nulls, type of the elements; then the length and the first index of the dimension.
  for (const value of [1, 1, TYPE[type], items.length, 1]) ARRAYS.rawInt32(value);
  for (let index = 0; index < items.length; index++) {
    const item = items[index];
    if (item !== undefined) add(ARRAYS, item);
  }
  return Buffer.concat(ARRAYS.written());
}
