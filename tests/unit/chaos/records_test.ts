import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { BAD_RECORDS, BLOCK, kindOf, LIMITS, Records } from "../../../chaos/load/records.ts";
import { createDecoder } from "../../../workers/_shared/record/decode.ts";

const COUNT = 30_000;
const records = new Records({ seed: 5, partitions: 6 });
const decode = createDecoder(LIMITS, () => Date.UTC(2026, 6, 1));

Deno.test("each record decodes to its planned result, and every kind of bad record occurs", () => {
  const reasons = new Set<string>();
  for (let index = 0; index < COUNT; index++) {
    const { value, fate, key } = records.record(index);
    const decoded = decode(value);
    if ("reject" in fate) {
      strictEqual(key?.toString(), `bad-${index}`);
      if (fate.reject === "conflicting_duplicate") continue;
      if (decoded.kind !== "reject") throw new Error(`record ${index} decodes to a reading`);
      strictEqual(decoded.reason, fate.reject);
      reasons.add(fate.reject);
    } else {
      if (decoded.kind !== "reading") throw new Error(`record ${index} decodes to a reject`);
      const { customerId, ts, heartRate, anomaly } = decoded.reading;
      const found = { customerId, micros: Number(ts), heartRate, anomaly };
      deepStrictEqual(found, records.readingOf(fate.row));
    }
  }
  strictEqual(reasons.size, BAD_RECORDS.length);
});

Deno.test("no two readings have the same customer and timestamp, and the timestamp gives the index of the record", () => {
  const keys = new Set<string>();
  // The microseconds of a timestamp repeat after 1,000,000 indexes.
  const from = [0, 721_000, 1_000_000, 9_990_000];
  for (const first of from) {
    for (let index = first; index < first + COUNT; index++) {
      if (kindOf(index) !== "good" && kindOf(index) !== "late") continue;
      const { customerId, micros } = records.readingOf(index);
      keys.add(`${customerId} @ ${micros}`);
      strictEqual(Records.indexOf(micros), index);
    }
  }
  ok(keys.size > from.length * COUNT * 0.97);
});

Deno.test("indexOf() returns undefined for a timestamp without a reading", () => {
  const bad = 37;
  strictEqual(kindOf(bad), "bad");
  strictEqual(Records.indexOf(Records.microsOfSecond(0) + bad), undefined);
  strictEqual(Records.indexOf(Records.microsOfSecond(-10_000)), undefined);
  strictEqual(Records.indexOf(Records.microsOfSecond(0) + 500), undefined);
});

Deno.test("indexAt() sends the records of each block in another order", () => {
  const sent = Array.from({ length: 3 * BLOCK }, (_, position) => Records.indexAt(position));
  for (let block = 0; block < 3; block++) {
    const indexes = sent.slice(block * BLOCK, (block + 1) * BLOCK).sort((a, b) => a - b);
    deepStrictEqual(indexes, Array.from({ length: BLOCK }, (_, inBlock) => block * BLOCK + inBlock));
  }
  ok(sent.filter((index, position) => index !== position).length >= 0.15 * sent.length);
});

Deno.test("repeats and conflicts refer to a good reading of an earlier block, and a conflict has the partition of that reading", () => {
  const kinds = new Map<string, number>();
  for (let index = 0; index < COUNT; index++) {
    const kind = kindOf(index);
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    const { fate, value, partition } = records.record(index);
    if (kind === "repeat" && "row" in fate) {
      strictEqual(kindOf(fate.row), "good");
      ok(fate.row < index - BLOCK);
    }
    if (kind === "conflict") {
      const decoded = decode(value);
      if (decoded.kind !== "reading") throw new Error(`record ${index} decodes to a reject`);
      const original = Records.indexOf(Number(decoded.reading.ts)) ?? -1;
      ok(original >= 0 && original < index - BLOCK && kindOf(original) === "good");
      strictEqual(records.partitionOf(original), partition);
    }
  }
  deepStrictEqual(Object.fromEntries(kinds), {
    good: 29_093,
    late: 300,
    bad: 300,
    repeat: 279,
    conflict: 28,
  });
});

Deno.test("another seed gives other heart rates at the same timestamps", () => {
  const other = new Records({ seed: 6, partitions: 6 });
  const same = Array.from({ length: 1000 }, (_, index) => {
    return records.readingOf(index).heartRate === other.readingOf(index).heartRate;
  });
  ok(same.filter(Boolean).length < 100);
  strictEqual(records.readingOf(0).micros, other.readingOf(0).micros);
});
