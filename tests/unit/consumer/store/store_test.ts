import { deepStrictEqual, ok, strictEqual } from "node:assert";
import type { BatchOutcome } from "../../../../workers/consumer/store/batch.ts";
import type { Transactions } from "../../../../workers/consumer/store/group_commit.ts";
import { createPlanner } from "../../../../workers/consumer/store/plan_batch.ts";
import { createStore } from "../../../../workers/consumer/store/store.ts";
import { transactionsOf } from "../../../../workers/consumer/store/transactions.ts";
import { SCHEMA_GENERATION } from "../../../../workers/consumer/schema/migrate.ts";
import type { Database } from "../../../../workers/_shared/postgres.ts";
import { detectUnknownOutcome } from "../../../../workers/_shared/postgres_errors.ts";
import type { Gap, Slice } from "../../../../workers/consumer/kafka_partition/slice.ts";
import { batchOf, LEDGER } from "../../../support/batch.ts";
import { answer, CANCELED, DEADLOCK, MemorySink, REFUSED, REPEATED } from "../../../support/memory_sink.ts";
import { sliceOfValues } from "../../../support/batch_writer.ts";
import { LIMITS, NOW, VALID } from "../../../support/wire_record.ts";

/** @param records each as "customer heartRate"; any other text is a bad record */
function slice(from: number, records: readonly string[], gaps: readonly Gap[] = []): Slice {
  const values = records.map((text) => {
    const [customer_id, heartRate] = text.split(" ");
    return heartRate === undefined
      ? text
      : JSON.stringify({ ...VALID, customer_id, heart_rate: Number(heartRate) });
  });
  return sliceOfValues(from, values, gaps);
}

function customers(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `c${String(index).padStart(4, "0")}`);
}

function writer(transactions: Transactions, failures: unknown[] = []) {
  const write = createStore(transactions, 1).writer({
    plan: createPlanner(LIMITS, () => NOW),
    prepare: () => Promise.resolve(),
    onFloorMoved: () => {},
    onAttempt: () => {},
    onAttemptEnd: () => {},
    onFailure: (error) => failures.push(error),
  });
  // The store retries every failure, even if a bug causes it. Only the timeout ends such a test.
  return (slice: Slice, signal = AbortSignal.timeout(5_000)): Promise<BatchOutcome> => {
    return write({ ...LEDGER, nextOffset: slice.from }, batchOf(slice), signal);
  };
}

Deno.test("a store writes each record to exactly one table, and counts each term of the ledger by itself", async () => {
  const sink = new MemorySink();
  const records = ["b 70", "a 70", "bad", "a 70", "a 71"];
  const outcome = await writer(sink)(slice(0, records, [{ from: 5, to: 8, cause: "control" }]));
  strictEqual(outcome.kind, "written");
  deepStrictEqual([...sink.rows], [["a", 70], ["b", 70]]);
  deepStrictEqual(sink.counts, { stored: 2, duplicates: 1, rejected: 2, gaps: 3 });
  deepStrictEqual(sink.rejects.map(({ record, reason }) => [record.offset, reason]), [
    [2, "invalid_json"],
    [4, "conflicting_duplicate"],
  ]);
  strictEqual(sink.nextOffset, 8);
});

Deno.test("a store compares a repeated reading with the heart rate in the table, not with the first one in the batch", async () => {
  const sink = new MemorySink();
  sink.rows.set("a", 70);
  await writer(sink)(slice(0, ["a 71", "a 70", "a 70"]));
  deepStrictEqual(sink.counts, { stored: 0, duplicates: 2, rejected: 1, gaps: 0 });
  deepStrictEqual([...sink.rows], [["a", 70]]);
});

Deno.test("a store rejects only the reading that PostgreSQL refuses and finds it with about 2 log2 n inserts", async () => {
  const sink = new MemorySink();
  sink.refuses.add("c0637");
  const records = customers(1_000).map((customer) => `${customer} 70`);
  await writer(sink)(slice(0, records));
  deepStrictEqual(sink.counts, { stored: 999, duplicates: 0, rejected: 1, gaps: 0 });
  deepStrictEqual(sink.rejects.map(({ record, reason, detail }) => [record.offset, reason, detail]), [
    [637, "database_rejected", "PostgreSQL refused it: refused"],
  ]);
  ok(sink.inserts.length <= 2 + 2 * Math.ceil(Math.log2(1_000)), `${sink.inserts.length} inserts`);
});

Deno.test("a store writes a part of a batch if its refused readings take longer than one attempt may last", async () => {
  const sink = new MemorySink();
  sink.mostInserts = 100;
  const records = customers(400).map((customer) => `${customer} 70`);
  for (const customer of customers(400)) sink.refuses.add(customer);
  const failures: unknown[] = [];
  const write = writer(sink, failures);
  const outcome = await write(slice(0, records));
  strictEqual(failures.length, 1);
  strictEqual(outcome.kind === "written" && outcome.slice.next, 25);
  strictEqual(sink.nextOffset, 25, "the offset must move only to the end of the written part");
  deepStrictEqual(sink.counts, { stored: 0, duplicates: 0, rejected: 25, gaps: 0 });
  // The store writes the rest in parts that grow again.
  for (let next = 25; next < 400; next = sink.nextOffset) await write(slice(next, records.slice(next)));
  strictEqual(sink.nextOffset, 400);
});

Deno.test("a store writes a smaller part after an attempt that took too long, and rejects nothing", async () => {
  const sink = new MemorySink();
  sink.mostRows = 30;
  const records = customers(400).map((customer) => `${customer} 70`);
  const failures: unknown[] = [];
  const write = writer(sink, failures);
  for (let next = 0; next < 400; next = sink.nextOffset) {
    const outcome = await write(slice(next, records.slice(next)));
    strictEqual(outcome.kind, "written");
    strictEqual(sink.counts?.rejected, 0);
  }
  strictEqual(sink.rows.size, 400);
  deepStrictEqual(sink.inserts.slice(0, 3), ["copy 400", "copy 25", "copy 50"]);
});

Deno.test("a store retries a single record that takes too long until it is stored", async () => {
  const sink = new MemorySink();
  sink.mostRows = 0;
  const failures: unknown[] = [];
  const write = writer(sink, failures);
  sink.onWrite = () => void (failures.length === 2 && (sink.mostRows = 1));
  strictEqual((await write(slice(0, ["a 70"]))).kind, "written");
  strictEqual(failures.length, 2);
  deepStrictEqual(sink.counts, { stored: 1, duplicates: 0, rejected: 0, gaps: 0 });
});

Deno.test("a store tries the next record of a key if PostgreSQL refuses the first", async () => {
  const sink = new MemorySink();
  sink.refuses.add("a");
  await writer(sink)(slice(0, ["a 70", "b 70", "a 70", "a 71"]));
  deepStrictEqual(sink.counts, { stored: 1, duplicates: 0, rejected: 3, gaps: 0 });
  deepStrictEqual(sink.rejects.map(({ record }) => record.offset), [0, 2, 3]);
});

Deno.test("a store uses checked inserts only while batches contain repeated readings", async () => {
  const sink = new MemorySink();
  const write = writer(sink);
  await write(slice(0, ["a 70"]));
  await write(slice(1, ["a 70", "b 70"]));
  await write(slice(3, ["b 70"]));
  await write(slice(4, ["c 70"]));
  await write(slice(5, ["d 70"]));
  deepStrictEqual(sink.inserts, ["copy 1", "copy 2", "merge 2", "merge 1", "merge 1", "copy 1"]);
});

for (
  const [what, conclusion, failed] of [
    ["PostgreSQL refuses a value", answer(REFUSED, "no"), 1],
    ["a key already exists", answer(REPEATED, "repeated"), 1],
    ["the statement times out", answer(CANCELED, "no time"), 1],
    ["the floor moved", { kind: "floor moved", floor: undefined }, 0],
  ] as const
) {
  Deno.test(`a store keeps its insert mode after a batch that is rolled back because ${what}`, async () => {
    const sink = new MemorySink();
    sink.rows.set("a", 70);
    const failures: unknown[] = [];
    const write = writer(sink, failures);
    await write(slice(0, ["a 70"]));
    sink.conclusions.push(conclusion);
    await write(slice(1, ["b 70"]));
    deepStrictEqual(sink.inserts, ["copy 1", "merge 1", "merge 1", "merge 1"]);
    strictEqual(failures.length, failed, "the store wrote twice in one attempt");
  });
}

Deno.test("a store retries while the database fails, rejects nothing and reports each failure", async () => {
  const sink = new MemorySink();
  sink.failures.push(new Error("away"));
  sink.insertFailures.push(new Error("gone in the middle"));
  const failures: unknown[] = [];
  const outcome = await writer(sink, failures)(slice(0, ["a 70"]));
  strictEqual(outcome.kind, "written");
  strictEqual(failures.length, 2);
  deepStrictEqual(sink.counts, { stored: 1, duplicates: 0, rejected: 0, gaps: 0 });
});

Deno.test("a store writes nothing if another owner moved the offset, and returns the new offset", async () => {
  const sink = new MemorySink();
  sink.nextOffset = 40;
  deepStrictEqual(await writer(sink)(slice(0, ["a 70"])), { kind: "offset mismatch", nextOffset: 40 });
  // The new offset is the end of this batch, but this store has not tried to commit it.
  sink.nextOffset = 1;
  deepStrictEqual(await writer(sink)(slice(0, ["a 70"])), { kind: "offset mismatch", nextOffset: 1 });
  strictEqual(sink.rows.size, 0);
});

/** Creates a database that fails once. After the failure, the ledger's offset is at the end of the batch. */
function createFailingDatabase(failure: Error): Database {
  const failures = [failure];
  const row = {
    id: LEDGER.id,
    topic_id: LEDGER.topicId,
    kafka_partition: LEDGER.partition,
    generation: LEDGER.generation,
    next_offset: 2,
    schema_generation: SCHEMA_GENERATION,
  };
  return {
    execute: () =>
      failures[0] === undefined ? Promise.resolve(0) : detectUnknownOutcome(Promise.reject(failures.shift())),
    transaction: (work: (session: unknown, rows: unknown) => unknown) => work(undefined, [row]),
  } as unknown as Database;
}

Deno.test("a store counts a batch as written if its COMMIT succeeded but the answer was lost", async () => {
  const database = createFailingDatabase(new Error("connection lost"));
  const outcome = await writer(transactionsOf(database))(slice(0, ["a 70", "a 70"]));
  const counts = { stored: 1, duplicates: 1, rejected: 0, gaps: 0 };
  deepStrictEqual(outcome.kind === "written" && outcome.counts, counts);
});

Deno.test("a store does not count a batch as written if PostgreSQL refused it and another owner moved the offset", async () => {
  const database = createFailingDatabase(answer(DEADLOCK, "deadlock"));
  const outcome = await writer(transactionsOf(database))(slice(0, ["a 70", "a 70"]));
  deepStrictEqual(outcome, { kind: "offset mismatch", nextOffset: 2 });
});

Deno.test("a store that must stop finishes the current write and starts no other write", async () => {
  const stop = new AbortController();
  const sink = new MemorySink();
  sink.onWrite = () => stop.abort();
  strictEqual((await writer(sink)(slice(0, ["a 70"]), stop.signal)).kind, "written");
  strictEqual((await writer(sink)(slice(1, ["b 70"]), stop.signal)).kind, "abandoned");
  strictEqual(sink.nextOffset, 1);
});

Deno.test("a store that must stop abandons its batch after a failure", async () => {
  const stop = new AbortController();
  const sink = new MemorySink();
  sink.onWrite = () => stop.abort();
  sink.failures.push(new Error("away"));
  strictEqual((await writer(sink)(slice(0, ["a 70"]), stop.signal)).kind, "abandoned");
  strictEqual(sink.rows.size, 0);
});

Deno.test("a store moves the offset over a slice that contains only a gap", async () => {
  const sink = new MemorySink();
  await writer(sink)(slice(0, [], [{ from: 0, to: 9, cause: "aborted" }]));
  deepStrictEqual(sink.counts, { stored: 0, duplicates: 0, rejected: 0, gaps: 9 });
  deepStrictEqual(sink.inserts, []);
  strictEqual(sink.nextOffset, 9);
});
