import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import type { Limits } from "../../../../workers/_shared/record/heartbeat.ts";
import { parseInstant } from "../../../../workers/_shared/record/instant.ts";
import { createDecoder } from "../../../../workers/_shared/record/decode.ts";
import type { Plan } from "../../../../workers/consumer/store/batch.ts";
import { createPlanner } from "../../../../workers/consumer/store/plan_batch.ts";
import { decodeFastPath, FastPathRecord } from "../../../../workers/_shared/record/fast_path.ts";
import { hostileRecord } from "../../../support/hostile/records.ts";
import { property, timestampText } from "../../../support/property.ts";
import { recordsOf } from "../../../support/record_batch.ts";
import { bytes, LIMITS, NOW, VALID, written } from "../../../support/wire_record.ts";

function planOf(values: readonly (Uint8Array | null)[], limits: Limits = LIMITS): Plan {
  const records = values.map((value, offset) => ({ offset, timestampMs: 0, key: null, value }));
  return createPlanner(limits, () => NOW)(recordsOf(records));
}

function readings({ readings, rows }: Plan) {
  return [...rows].map((row) => readings.reading(row));
}

/** @throws if the planner and the decoder give different results for this record */
function assertAgrees(value: Uint8Array | null, limits: Limits = LIMITS): void {
  const decoded = createDecoder(limits, () => NOW)(value);
  const planned = planOf([value], limits);
  const { rejects } = planned;
  if (decoded.kind === "reading") deepStrictEqual(readings(planned), [decoded.reading]);
  else deepStrictEqual(rejects.map(({ reason, detail }) => ({ kind: "reject", reason, detail })), [decoded]);
}

function takesFastPath(text: string): boolean {
  const value = bytes(text);
  return decodeFastPath(value, 0, value.length, new FastPathRecord());
}

Deno.test("decodeFastPath() reads the usual JSON of a reading, with and without spaces", () => {
  const spaced = `{"customer_id": "c-1", "timestamp": "${VALID.timestamp}", "heart_rate": 72}`;
  for (const text of [JSON.stringify(VALID), spaced]) ok(takesFastPath(text), text);
});

Deno.test("decodeFastPath() leaves every other form to the general decoder", () => {
  const others = [
    JSON.stringify({ ...VALID, device: "d" }),
    JSON.stringify(VALID).replace("c-1", "\\u0063"),
    JSON.stringify(VALID) + " ",
    JSON.stringify(VALID) + "}",
    ` ${JSON.stringify(VALID)}`,
    `\ufeff${JSON.stringify(VALID)}`,
    written("customer_id", "1"),
    written("customer_id", '""'),
    written("customer_id", '"\u{1f493}"'),
    written("customer_id", `"${"x".repeat(129)}"`),
    written("heart_rate", "072"),
    written("heart_rate", "72.0"),
    written("heart_rate", "-72"),
    written("heart_rate", "7e1"),
    written("timestamp", '"2026-02-29T00:00:00Z"'),
    written("timestamp", '"2016-12-31T23:58:60Z"'),
    written("timestamp", '"2026-07-14T09:29:59.Z"'),
  ];
  for (const text of others) ok(!takesFastPath(text), text);
});

Deno.test("a planner gives the same result as the decoder for any timestamp", () => {
  fc.assert(
    fc.property(timestampText(), (text) => assertAgrees(bytes(written("timestamp", JSON.stringify(text))))),
    property("timestamps", 3_000),
  );
});

Deno.test("a planner rejects readings below the floor, exact to the microsecond, and reports the floor", () => {
  const timestamps = ["09:29:58.999999", "09:29:59", "09:29:59.000001", "09:30:00.999999", "09:30:01"];
  const records = timestamps.map((time, offset) => {
    const value = bytes(written("timestamp", `"2026-07-14T${time}Z"`));
    return { offset, timestampMs: 0, key: null, value };
  });
  for (const [index, time] of [...timestamps.entries(), [timestamps.length, "09:30:01.000001"] as const]) {
    const floor = parseInstant(`2026-07-14T${time}Z`);
    const { rejects, readings, floor: usedFloor } = createPlanner(LIMITS, () => NOW, undefined, () => floor)(
      recordsOf(records),
    );
    deepStrictEqual(rejects.map(({ record, reason }) => [record.offset, reason]), [
      ...Array.from({ length: index }, (_, offset) => [offset, "too_old"]),
    ]);
    strictEqual(readings.count, records.length - index);
    strictEqual(usedFloor, index === 0 ? undefined : floor);
  }
});

Deno.test("a planner gives the same result as the decoder for a record with any byte changed, removed or added", () => {
  const good = Buffer.from(JSON.stringify(VALID));
  const mutation = fc.record({
    at: fc.nat({ max: good.length - 1 }),
    byte: fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(...Buffer.from('{}[]",:\\ 0123456789.eE+-TZtz'))),
    kind: fc.constantFrom("change", "remove", "double", "insert"),
  });
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 3 }), (mutations) => {
      let value = good;
      for (const { at, byte, kind } of mutations) {
        const [before, after] = [value.subarray(0, at), value.subarray(kind === "insert" ? at : at + 1)];
        const middle = {
          change: [byte],
          remove: [],
          double: [value[at] ?? 0, value[at] ?? 0],
          insert: [byte],
        };
        value = Buffer.concat([before, Buffer.from(middle[kind]), after]);
      }
      assertAgrees(value);
    }),
    property("mutations", 5_000),
  );
});

Deno.test("a planner gives the same result as the decoder for malformed and unusual records, with and without retention", () => {
  const strict = {
    minBpm: 50,
    maxBpm: 150,
    lowBpm: 60,
    highBpm: 140,
    maxClockSkewSeconds: 0,
    retentionDays: 200,
  };
  fc.assert(
    fc.property(
      hostileRecord(NOW),
      fc.constantFrom(LIMITS, strict),
      ({ value }, limits) => assertAgrees(value, limits),
    ),
    property("hostile records", 10_000),
  );
});

Deno.test("a planner gives the same result as the decoder for heart rates and timestamps at their limits", () => {
  for (let rate = 0; rate <= 230; rate++) assertAgrees(bytes(written("heart_rate", String(rate))));
  const latest = NOW + LIMITS.maxClockSkewSeconds * 1000;
  for (const ms of [-2_000, -1_000, -1, 0, 1, 1_000]) {
    for (const decimals of ["", "000", "001", "999"]) {
      const text = new Date(latest + ms).toISOString().replace("Z", `${decimals}Z`);
      assertAgrees(bytes(written("timestamp", JSON.stringify(text))));
    }
  }
});

Deno.test("a planner orders readings by the bytes of the customer, then by time, and groups equal keys", () => {
  const at = (customer_id: string, micros: string, heart_rate: number) =>
    bytes(JSON.stringify({ customer_id, timestamp: `2026-07-14T09:00:00.${micros}Z`, heart_rate }));
  const planned = planOf([
    // In UTF-16 order, the heart would precede the last letter of the basic plane.
    at("\u{1f493}", "000001", 61),
    at("b", "000002", 62),
    at("\uff5a", "000001", 63),
    at("b", "000001", 64),
    at("a", "000001", 65),
    at("b", "000002", 66),
  ]);
  deepStrictEqual(readings(planned).map(({ heartRate }) => heartRate), [65, 64, 62, 66, 63, 61]);
  deepStrictEqual([...planned.keys], [0, 1, 2, 4, 5, 6]);
  strictEqual(planned.readings.customers.count, 4);
});

Deno.test("a planner keeps timestamps of all years exact to the microsecond", () => {
  const texts = ["0001-01-01T00:00:00.000001Z", "1969-12-31T23:59:59.999999Z", "1683-05-05T05:05:05.123457Z"];
  for (const text of texts) assertAgrees(bytes(written("timestamp", JSON.stringify(text))));
});

Deno.test("a planner distinguishes thousands of customers in a batch", () => {
  const value = (index: number) =>
    bytes(JSON.stringify({ customer_id: `c-${index % 3_000}`, timestamp: VALID.timestamp, heart_rate: 70 }));
  const { readings, keys } = planOf(Array.from({ length: 6_000 }, (_, index) => value(index)));
  strictEqual(readings.customers.count, 3_000);
  strictEqual(keys.length, 3_001);
});
