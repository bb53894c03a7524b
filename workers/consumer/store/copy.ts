/**
 * PostgreSQL's binary COPY format: instants stay exact to the microsecond, any bytes need no escaping, and neither side
 * formats or parses text. Layout: https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
import { Buffer } from "node:buffer";
import { finished } from "node:stream/promises";
// @ts-types="@types/pg-copy-streams"
import { type CopyStreamQuery, from as copyFrom } from "pg-copy-streams";
import type { Session } from "../../_shared/postgres.ts";
import { BinaryWriter } from "./binary_writer.ts";

const SIGNATURE = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");
const END_OF_ROWS = -1;

/** What is longer is sent in pieces: a batch of large rejects must not be in memory a second time. */
const PIECE_BYTES = 1024 * 1024;
/** Larger ones are not kept: they were made for a row of many hundreds of kilobytes, which is rare. */
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

/** A COPY that is under way. Pieces are sent one after the other: after a failure the stream takes no more of them. */
class Copying {
  readonly #stream: CopyStreamQuery;
  readonly #finished: Promise<void>;

  constructor(session: Session, target: string) {
    this.#stream = session.query(copyFrom(`copy ${target} from stdin (format binary)`));
    this.#finished = finished(this.#stream);
    // Whoever sends hears of it; between two pieces nobody does.
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
