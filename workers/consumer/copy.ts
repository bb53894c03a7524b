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

/** Larger ones are not kept: they were made for records of a megabyte, which are rare. */
const KEPT_AT_MOST_BYTES = 4 * 1024 * 1024;

/** As many as there were ever transactions at once. */
const spare: BinaryWriter[] = [];

/**
 * Sends rows to a table. Their bytes are put together in memory that is used again and again: left to the garbage
 * collector, a batch's megabyte would wait there many times over.
 *
 * @param target table with its columns, as in `copy <target> from stdin`
 * @param fields how many a row has
 * @param count how many rows there are
 * @param add adds the fields of this row
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
  const writer = spare.pop() ?? new BinaryWriter();
  writer.clear();
  writer.raw(SIGNATURE);
  for (let index = 0; index < count; index++) {
    writer.rawInt16(fields);
    add(writer, index);
  }
  writer.rawInt16(END_OF_ROWS);
  const stream = session.query(copyFrom(`copy ${target} from stdin (format binary)`));
  stream.end(writer.written());
  await finished(stream);
  // Only now: after a failure the socket may still hold the bytes.
  if (writer.capacity <= KEPT_AT_MOST_BYTES) spare.push(writer);
}
