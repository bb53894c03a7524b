/**
 * PostgreSQL's binary COPY format: instants stay exact to the microsecond, any bytes need no escaping, and neither side
 * formats or parses text. Layout: https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
import { Buffer } from "node:buffer";
import { finished } from "node:stream/promises";
// @ts-types="@types/pg-copy-streams"
import { from as copyFrom } from "pg-copy-streams";
import type { Session } from "../_shared/postgres.ts";
import { BinaryWriter } from "./binary_writer.ts";

const SIGNATURE = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");
const END_OF_ROWS = -1;

/** Builds the body of one COPY in one growing buffer. */
export class CopyBuffer {
  readonly #fields = new BinaryWriter();

  constructor() {
    this.#fields.raw(SIGNATURE);
  }

  /** Begins a row that has this many fields; they are added to what it returns. */
  row(fields: number): BinaryWriter {
    this.#fields.rawInt16(fields);
    return this.#fields;
  }

  /** The whole body; nothing may be added afterwards. */
  end(): Buffer {
    this.#fields.rawInt16(END_OF_ROWS);
    return this.#fields.written();
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
