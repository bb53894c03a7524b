import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { createPlanner } from "../../../../workers/consumer/store/plan_batch.ts";
import { type BatchOutcome, createBatchProcessor } from "../../../../workers/consumer/store/process_batch.ts";
import type { Gap, Slice } from "../../../../workers/consumer/kafka_partition/slice.ts";
import { batchOf, LEDGER } from "../../../support/batch.ts";
import { answer, CANCELED, DEADLOCK, MemorySink, REFUSED, REPEATED } from "../../../support/memory_sink.ts";
import { stretch } from "../../../support/batch_writer.ts";
import { LIMITS, NOW, VALID } from "../../../support/wire_record.ts";

/** Records as text: "customer heart_rate", or anything else for a bad one. */
function slice(from: number, records: readonly string[], gaps: readonly Gap[] = []): Slice {
  const values = records.map((text) => {
    const [customer_id, heartRate] = text.split(" ");
    return heartRate === undefined
      ? text
      : JSON.stringify({ ...VALID, customer_id, heart_rate: Number(heartRate) });
  });
  return stretch(from, values, gaps);
}

/** Ids in order. */
function customers(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `c${String(index).padStart(4, "0")}`);
}

function processor(sink: MemorySink, failures: unknown[] = []) {
  const process = createBatchProcessor({
    plan: createPlanner(LIMITS, () => NOW),
    turns: { take: (_, attempt) => attempt(sink) },
    prepare: () => Promise.resolve(),
    onFloorMoved: () => {},
    onAttempt: () => {},
    onAttemptEnd: () => {},
    onFailure: (error) => failures.push(error),
  });
  // A bug in the batch's algorithm is retried like any failure: the test ends all the same.
  return (one: Slice, signal = AbortSignal.timeout(5_000)): Promise<BatchOutcome> => {
    return process({ ...LEDGER, nextOffset: one.from }, batchOf(one), signal);
  };
}

Deno.test("processBatch() puts each record in exactly one place, and counts each place from its own fact", async () => {
  const sink = new MemorySink();
  const records = ["b 70", "a 70", "bad", "a 70", "a 71"];
  const outcome = await processor(sink)(slice(0, records, [{ from: 5, to: 8, cause: "control" }]));
  strictEqual(outcome.kind, "written");
  deepStrictEqual([...sink.rows], [["a", 70], ["b", 70]]);
  deepStrictEqual(sink.counts, { stored: 2, duplicates: 1, rejected: 2, gaps: 3 });
  deepStrictEqual(sink.rejects.map(({ record, reason }) => [record.offset, reason]), [
    [2, "invalid_json"],
    [4, "conflicting_duplicate"],
  ]);
  strictEqual(sink.nextOffset, 8);
});

Deno.test("processBatch() lets the heart rate in the table decide, whatever comes first in the batch", async () => {
  const sink = new MemorySink();
  sink.rows.set("a", 70);
  await processor(sink)(slice(0, ["a 71", "a 70", "a 70"]));
  deepStrictEqual(sink.counts, { stored: 0, duplicates: 2, rejected: 1, gaps: 0 });
  deepStrictEqual([...sink.rows], [["a", 70]]);
});

Deno.test("processBatch() rejects only the reading that the database refuses, in about 2 log2 n inserts", async () => {
  const sink = new MemorySink();
  sink.refuses.add("c0637");
  const records = customers(1_000).map((customer) => `${customer} 70`);
  await processor(sink)(slice(0, records));
  deepStrictEqual(sink.counts, { stored: 999, duplicates: 0, rejected: 1, gaps: 0 });
  deepStrictEqual(sink.rejects.map(({ record, reason, detail }) => [record.offset, reason, detail]), [
    [637, "database_rejected", "PostgreSQL refused it: no"],
  ]);
  ok(sink.inserts.length <= 2 + 2 * Math.ceil(Math.log2(1_000)), `${sink.inserts.length} inserts`);
});

Deno.test("processBatch() writes a part of a batch whose refused readings take longer than an attempt may", async () => {
  const sink = new MemorySink();
  sink.mostInserts = 100;
  const records = customers(400).map((customer) => `${customer} 70`);
  for (const customer of customers(400)) sink.refuses.add(customer);
  const failures: unknown[] = [];
  const process = processor(sink, failures);
  const outcome = await process(slice(0, records));
  strictEqual(failures.length, 1);
  strictEqual(outcome.kind === "written" && outcome.slice.next, 25);
  strictEqual(sink.nextOffset, 25, "the offset moves with what was written and no further");
  deepStrictEqual(sink.counts, { stored: 0, duplicates: 0, rejected: 25, gaps: 0 });
  // With parts that grow again, the rest is written too.
  for (let next = 25; next < 400; next = sink.nextOffset) await process(slice(next, records.slice(next)));
  strictEqual(sink.nextOffset, 400);
});

Deno.test("processBatch() writes a smaller part after an attempt that took too long, and rejects nothing for it", async () => {
  const sink = new MemorySink();
  sink.mostRows = 30;
  const records = customers(400).map((customer) => `${customer} 70`);
  const failures: unknown[] = [];
  const process = processor(sink, failures);
  for (let next = 0; next < 400; next = sink.nextOffset) {
    const outcome = await process(slice(next, records.slice(next)));
    strictEqual(outcome.kind, "written");
    strictEqual(sink.counts?.rejected, 0);
  }
  strictEqual(sink.rows.size, 400);
  deepStrictEqual(sink.inserts.slice(0, 3), ["copy 400", "copy 25", "copy 50"]);
});

Deno.test("processBatch() waits for as long as a single record takes too long, and then stores it", async () => {
  const sink = new MemorySink();
  sink.mostRows = 0;
  const failures: unknown[] = [];
  const process = processor(sink, failures);
  sink.onWrite = () => void (failures.length === 2 && (sink.mostRows = 1));
  strictEqual((await process(slice(0, ["a 70"]))).kind, "written");
  strictEqual(failures.length, 2);
  deepStrictEqual(sink.counts, { stored: 1, duplicates: 0, rejected: 0, gaps: 0 });
});

Deno.test("processBatch() gives the next record of a key its chance when the first was refused", async () => {
  const sink = new MemorySink();
  sink.refuses.add("a");
  await processor(sink)(slice(0, ["a 70", "b 70", "a 70", "a 71"]));
  deepStrictEqual(sink.counts, { stored: 1, duplicates: 0, rejected: 3, gaps: 0 });
  deepStrictEqual(sink.rejects.map(({ record }) => record.offset), [0, 2, 3]);
});

Deno.test("processBatch() goes the careful way only while repeats keep coming", async () => {
  const sink = new MemorySink();
  const process = processor(sink);
  await process(slice(0, ["a 70"]));
  await process(slice(1, ["a 70", "b 70"]));
  await process(slice(3, ["b 70"]));
  await process(slice(4, ["c 70"]));
  await process(slice(5, ["d 70"]));
  deepStrictEqual(sink.inserts, ["copy 1", "copy 2", "merge 2", "merge 1", "merge 1", "copy 1"]);
});

for (
  const [what, conclusion, failed] of [
    ["a value is refused", answer(REFUSED, "no"), 1],
    ["a key is repeated", answer(REPEATED, "repeated"), 1],
    ["time runs out", answer(CANCELED, "no time"), 1],
    ["the floor has moved", { kind: "floor moved", floor: undefined }, 0],
  ] as const
) {
  Deno.test(`processBatch() learns nothing from a batch that is rolled back at its end, as when ${what}`, async () => {
    const sink = new MemorySink();
    sink.rows.set("a", 70);
    const failures: unknown[] = [];
    const process = processor(sink, failures);
    await process(slice(0, ["a 70"]));
    sink.conclusions.push(conclusion);
    await process(slice(1, ["b 70"]));
    deepStrictEqual(sink.inserts, ["copy 1", "merge 1", "merge 1", "merge 1"]);
    strictEqual(failures.length, failed, "no second write in the same turn");
  });
}

Deno.test("processBatch() waits for a broken database, rejects nothing for it, and tells each failure", async () => {
  const sink = new MemorySink();
  sink.failures.push(new Error("away"));
  sink.insertFailures.push(new Error("gone in the middle"));
  const failures: unknown[] = [];
  const outcome = await processor(sink, failures)(slice(0, ["a 70"]));
  strictEqual(outcome.kind, "written");
  strictEqual(failures.length, 2);
  deepStrictEqual(sink.counts, { stored: 1, duplicates: 0, rejected: 0, gaps: 0 });
});

Deno.test("processBatch() counts a batch once whose COMMIT took place though its answer was lost", async () => {
  const sink = new MemorySink();
  sink.loseAnswer = true;
  const outcome = await processor(sink)(slice(0, ["a 70", "a 70"]));
  strictEqual(outcome.kind, "written");
  const counts = { stored: 1, duplicates: 1, rejected: 0, gaps: 0 };
  deepStrictEqual(outcome.kind === "written" && outcome.batch.counts, counts);
  strictEqual(sink.nextOffset, 2);
});

Deno.test("processBatch() writes nothing when another owner has moved the offset, and says where to", async () => {
  const sink = new MemorySink();
  sink.nextOffset = 40;
  deepStrictEqual(await processor(sink)(slice(0, ["a 70"])), { kind: "stale", nextOffset: 40 });
  // Where our batch would have ended, yet we never tried to commit it.
  sink.nextOffset = 1;
  deepStrictEqual(await processor(sink)(slice(0, ["a 70"])), { kind: "stale", nextOffset: 1 });
  strictEqual(sink.rows.size, 0);
});

Deno.test("processBatch() takes nothing for its own that another wrote after the server refused ours", async () => {
  const sink = new MemorySink();
  sink.refusal = answer(DEADLOCK, "deadlock");
  deepStrictEqual(await processor(sink)(slice(0, ["a 70"])), { kind: "stale", nextOffset: 1 });
});

Deno.test("processBatch() finishes a write that has begun when it is told to stop, and begins none afterwards", async () => {
  const stop = new AbortController();
  const sink = new MemorySink();
  sink.onWrite = () => stop.abort();
  strictEqual((await processor(sink)(slice(0, ["a 70"]), stop.signal)).kind, "written");
  strictEqual((await processor(sink)(slice(1, ["b 70"]), stop.signal)).kind, "abandoned");
  strictEqual(sink.nextOffset, 1);
});

Deno.test("processBatch() gives up after a failure once it is told to stop", async () => {
  const stop = new AbortController();
  const sink = new MemorySink();
  sink.onWrite = () => stop.abort();
  sink.failures.push(new Error("away"));
  strictEqual((await processor(sink)(slice(0, ["a 70"]), stop.signal)).kind, "abandoned");
  strictEqual(sink.rows.size, 0);
});

Deno.test("processBatch() moves the offset over a stretch that holds nothing but a gap", async () => {
  const sink = new MemorySink();
  await processor(sink)(slice(0, [], [{ from: 0, to: 9, cause: "aborted" }]));
  deepStrictEqual(sink.counts, { stored: 0, duplicates: 0, rejected: 0, gaps: 9 });
  deepStrictEqual(sink.inserts, []);
  strictEqual(sink.nextOffset, 9);
});
