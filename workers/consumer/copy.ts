/**
 * PostgreSQL's binary COPY format: instants stay exact to the microsecond, any bytes need no escaping, and neither side
 * formats or parses text. Layout: https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
import { Buffer } from "node:buffer";
import { finished } from "node:stream/promises";
// @ts-types="@types/pg-copy-streams"
import { from as copyFrom } from "pg-copy-streams";
import type { Session } from "../_shared/postgres.ts";

const SIGNATURE = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");
const NULL_LENGTH = -1;
const END_OF_ROWS = -1;

/** Microseconds from the Unix epoch to PostgreSQL's, 2000-01-01. */
const POSTGRES_EPOCH_MICROS = 946_684_800_000_000n;

/** Builds the body of one COPY in one growing buffer. */
export class CopyBuffer {
  #buffer: Buffer;
  #length: number;
  #rows = 0;

  constructor(expectedBytes: number) {
    this.#buffer = Buffer.allocUnsafe(Math.max(256, expectedBytes));
    this.#length = SIGNATURE.copy(this.#buffer);
  }

  get rows(): number {
    return this.#rows;
  }

  /** Begins a row that has this many fields. */
  row(fields: number): void {
    this.#reserve(2);
    this.#length = this.#buffer.writeInt16BE(fields, this.#length);
    this.#rows++;
  }

  null(): void {
    this.#reserve(4);
    this.#length = this.#buffer.writeInt32BE(NULL_LENGTH, this.#length);
  }

  int16(value: number): void {
    this.#reserve(6);
    this.#length = this.#buffer.writeInt32BE(2, this.#length);
    this.#length = this.#buffer.writeInt16BE(value, this.#length);
  }

  int32(value: number): void {
    this.#reserve(8);
    this.#length = this.#buffer.writeInt32BE(4, this.#length);
    this.#length = this.#buffer.writeInt32BE(value, this.#length);
  }

  int64(value: bigint): void {
    this.#reserve(12);
    this.#length = this.#buffer.writeInt32BE(8, this.#length);
    this.#length = this.#buffer.writeBigInt64BE(value, this.#length);
  }

  /** @param micros microseconds since the Unix epoch */
  timestamptz(micros: bigint): void {
    this.int64(micros - POSTGRES_EPOCH_MICROS);
  }

  text(value: string): void {
    // At most three bytes of UTF-8 for a UTF-16 code unit; the true length is written afterwards.
    this.#reserve(4 + value.length * 3);
    const written = this.#buffer.write(value, this.#length + 4, "utf8");
    this.#buffer.writeInt32BE(written, this.#length);
    this.#length += 4 + written;
  }

  bytea(value: Uint8Array): void {
    this.#reserve(4 + value.length);
    this.#length = this.#buffer.writeInt32BE(value.length, this.#length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  /** The whole body; nothing may be added afterwards. */
  end(): Buffer {
    this.#reserve(2);
    this.#length = this.#buffer.writeInt16BE(END_OF_ROWS, this.#length);
    return this.#buffer.subarray(0, this.#length);
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + bytes));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

/**
 * Sends the rows.
 *
 * @param target table with its columns, as in `copy <target> from stdin`
 * @throws what PostgreSQL answered; none of the rows is stored then
 */
export async function copyInto(session: Session, target: string, rows: CopyBuffer): Promise<void> {
  const stream = session.query(copyFrom(`copy ${target} from stdin (format binary)`));
  stream.end(rows.end());
  await finished(stream);
}
