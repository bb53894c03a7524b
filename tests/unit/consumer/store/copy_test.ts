import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { Writable } from "node:stream";
import { copyInto } from "../../../../workers/consumer/store/copy.ts";
import type { Session } from "../../../../workers/_shared/postgres.ts";

const MEGABYTE = 1024 * 1024;
const HEADER_BYTES = 19;
const ROW_BYTES = 2;

/**
 * Creates a session that keeps the data of a COPY.
 *
 * @param refuse is called after each chunk; PostgreSQL fails if it returns true
 */
function session(refuse: () => boolean = () => false) {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    highWaterMark: 1,
    write(chunk: Buffer, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      // If PostgreSQL fails in the middle of a COPY, the stream emits an error and takes no more data.
      if (refuse()) this.emit("error", new Error("refused"));
      else setTimeout(done, 0);
    },
  });
  return { chunks, session: { query: () => stream } as unknown as Session };
}

/** Encodes rows of one field in the binary format of COPY. */
function expected(values: readonly Buffer[]): Buffer {
  const rows = values.flatMap((value) => {
    const head = Buffer.alloc(ROW_BYTES + 4);
    head.writeInt16BE(1);
    head.writeInt32BE(value.length, ROW_BYTES);
    return [head, value];
  });
  return Buffer.concat([...rows, Buffer.from([0xff, 0xff])]);
}

for (
  const [what, lengths] of [
    ["small rows", [10, 0, 500]],
    ["a hundred thousand rows", Array.from({ length: 100_000 }, (_, index) => index % 90)],
    ["rows of many megabytes", [5, 3 * MEGABYTE, 5, 70_000, 70_000, 12 * MEGABYTE, 65_535, 65_536, MEGABYTE]],
  ] as const
) {
  Deno.test(`copyInto() sends ${what} unchanged, also when it is called again`, async () => {
    for (let round = 0; round < 3; round++) {
      const values = lengths.map((length, index) => Buffer.alloc(length, `${round}-${index}`));
      const { chunks, session: connection } = session();
      await copyInto(connection, "t (c)", {
        fields: 1,
        count: values.length,
        add: (row, index) => row.bytea(values[index] ?? Buffer.alloc(0)),
      });
      const sent = Buffer.concat(chunks).subarray(HEADER_BYTES);
      ok(sent.equals(expected(values)), `round ${round}: other bytes were sent`);
      strictEqual(chunks.length === 1, sent.length < MEGABYTE);
    }
  });
}

Deno.test("copyInto() does not copy large values and buffers less than a megabyte", async () => {
  const value = Buffer.alloc(2 * MEGABYTE, "x");
  const { chunks, session: connection } = session();
  let copiedBytes = 0;
  await copyInto(connection, "t (c)", {
    fields: 1,
    count: 50,
    add: (row) => {
      row.bytea(value);
      const copied = row.written().filter((part) => part.buffer !== value.buffer);
      copiedBytes = Math.max(copiedBytes, copied.reduce((sum, { length }) => sum + length, 0));
      ok(row.written().length <= 3, "earlier rows were not sent");
    },
  });
  ok(copiedBytes < MEGABYTE, `${copiedBytes} bytes were copied`);
  strictEqual(Buffer.concat(chunks).length, HEADER_BYTES + 50 * (ROW_BYTES + 4 + value.length) + ROW_BYTES);
});

Deno.test("copyInto() throws the error of PostgreSQL in the middle of a COPY and sends nothing after it", async () => {
  let sent = 0;
  const { chunks, session: connection } = session(() => ++sent === 4);
  const row = Buffer.alloc(MEGABYTE, "x");
  const copying = copyInto(connection, "t (c)", { fields: 1, count: 20, add: (writer) => writer.bytea(row) });
  await rejects(copying, /^Error: refused$/);
  deepStrictEqual(chunks.length, 4);
});
