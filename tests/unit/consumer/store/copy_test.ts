/** What is sent to PostgreSQL, and in which pieces; that it arrives is proved on a real server. */
import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { Writable } from "node:stream";
import { copyInto } from "../../../../workers/consumer/store/copy.ts";
import type { Session } from "../../../../workers/_shared/postgres.ts";

const MEGABYTE = 1024 * 1024;
const HEADER_BYTES = 19;
const ROW_BYTES = 2;

/** A session that keeps what a COPY sends it. @param refuse is asked after each piece */
function session(refuse: () => boolean = () => false) {
  const pieces: Buffer[] = [];
  const stream = new Writable({
    highWaterMark: 1,
    write(piece: Buffer, _encoding, done) {
      pieces.push(Buffer.from(piece));
      // As PostgreSQL does in the middle of a COPY: the stream says so, and takes no more.
      if (refuse()) this.emit("error", new Error("refused"));
      else setTimeout(done, 0);
    },
  });
  return { pieces, session: { query: () => stream } as unknown as Session };
}

/** Rows of one field, as they are in the format. */
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
  Deno.test(`copyInto() sends ${what} as they are, again and again`, async () => {
    for (let round = 0; round < 3; round++) {
      const values = lengths.map((length, index) => Buffer.alloc(length, `${round}-${index}`));
      const { pieces, session: ours } = session();
      await copyInto(ours, "t (c)", {
        fields: 1,
        count: values.length,
        add: (row, index) => row.bytea(values[index] ?? Buffer.alloc(0)),
      });
      const sent = Buffer.concat(pieces).subarray(HEADER_BYTES);
      ok(sent.equals(expected(values)), `round ${round}: other bytes were sent`);
      strictEqual(pieces.length === 1, sent.length < MEGABYTE);
    }
  });
}

Deno.test("copyInto() has no second copy of large values, and no more than a few megabytes in hand", async () => {
  const value = Buffer.alloc(2 * MEGABYTE, "x");
  const { pieces, session: ours } = session();
  let inHand = 0;
  await copyInto(ours, "t (c)", {
    fields: 1,
    count: 50,
    add: (row) => {
      row.bytea(value);
      const copied = row.written().filter((part) => part.buffer !== value.buffer);
      inHand = Math.max(inHand, copied.reduce((sum, { length }) => sum + length, 0));
      ok(row.written().length <= 3, "what was added before is sent already");
    },
  });
  ok(inHand < MEGABYTE, `${inHand} bytes were copied`);
  strictEqual(Buffer.concat(pieces).length, HEADER_BYTES + 50 * (ROW_BYTES + 4 + value.length) + ROW_BYTES);
});

Deno.test("copyInto() ends with what PostgreSQL refused in the middle, and sends nothing after it", async () => {
  let sent = 0;
  const { pieces, session: ours } = session(() => ++sent === 4);
  const row = Buffer.alloc(MEGABYTE, "x");
  const copying = copyInto(ours, "t (c)", { fields: 1, count: 20, add: (writer) => writer.bytea(row) });
  await rejects(copying, /^Error: refused$/);
  deepStrictEqual(pieces.length, 4);
});
