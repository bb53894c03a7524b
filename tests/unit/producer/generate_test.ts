import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createDecoder } from "../../../workers/_shared/record/decode.ts";
import { generate, type GenerateOptions } from "../../../workers/producer/generate.ts";
import type { OutgoingRecord } from "../../../workers/producer/publish/records.ts";

const DAY_MICROS = 86_400e6;
const START_MICROS = Date.UTC(2026, 0, 5) * 1000;

function options(changes: Partial<GenerateOptions> = {}): GenerateOptions {
  return {
    seed: 7,
    customers: 20,
    startMicros: START_MICROS,
    spacingMicros: 1e6,
    count: 5_000,
    live: false,
    arrhythmiaShare: 0.1,
    dropoutShare: 0.01,
    faults: { outOfRange: 0.02, malformed: 0.02, duplicate: 0.02 },
    ...changes,
  };
}

const NO_FAULTS = { outOfRange: 0, malformed: 0, duplicate: 0 };

function bytes(records: Iterable<OutgoingRecord>): string[] {
  return Array.from(records, ({ key, value }) => `${key} ${value?.toString("hex") ?? null}`);
}

/** @returns the values of one customer; default: of all customers */
function values(records: Iterable<OutgoingRecord>, customer?: string): string[] {
  return Array.from(records).filter(({ key }) => customer === undefined || key.toString() === customer)
    .map(({ value }) => value?.toString() ?? "");
}

Deno.test("generate() yields the same bytes as in earlier versions", () => {
  const digest = createHash("sha256");
  for (const line of bytes(generate(options({ customers: 200, spacingMicros: 1_234_567.25 })))) {
    digest.update(line);
  }
  assert.equal(digest.digest("hex"), "b89bb429a756ac318b49259026b2a347d493c72e48060d9426223e3675810ae9");
});

Deno.test("generate() yields the same bytes for the same seed, also in two parts, and different bytes for another seed", () => {
  const whole = bytes(generate(options()));
  assert.equal(whole.length, 5_000);
  const source = generate(options());
  const parts = Array.from({ length: 1_234 }, () => source.next().value ?? assert.fail());
  assert.deepEqual(bytes([...parts, ...source]), whole);
  assert.notDeepEqual(bytes(generate(options({ seed: 8 }))), whole);
});

Deno.test("generate() yields the same readings of a customer for any number of customers", () => {
  const base = { faults: NO_FAULTS, durationMicros: 3_600e6, count: Infinity };
  const few = values(generate(options({ ...base, customers: 2, spacingMicros: 5e6 })), "customer-00001");
  const many = values(generate(options({ ...base, customers: 10, spacingMicros: 1e6 })), "customer-00001");
  assert.ok(few.length > 300);
  assert.deepEqual(many, few);
});

Deno.test("generate() yields the same good readings with and without faults", () => {
  const good = new Set(values(generate(options({ faults: NO_FAULTS }))));
  const faulty = Array.from(generate(options())).filter(({ fault }) => fault === undefined);
  const changed = faulty.map(({ value }) => value?.toString() ?? "").filter((value) => !good.has(value));
  assert.deepEqual(changed, []);
});

Deno.test("generate() gives each record its scheduled timestamp, and only live records a time to publish", () => {
  const three = { dropoutShare: 0, faults: NO_FAULTS, count: 3, spacingMicros: 333_333.5 };
  const live = Array.from(generate(options({ ...three, live: true })));
  assert.deepEqual(live.map(({ dueMicros = 0 }) => dueMicros - START_MICROS), [0, 333_333, 666_667]);
  assert.deepEqual(live.map(({ value }) => JSON.parse(String(value)).timestamp), [
    "2026-01-05T00:00:00.000Z",
    "2026-01-05T00:00:00.333333Z",
    "2026-01-05T00:00:00.666667Z",
  ]);
  const [backfilled] = generate(options());
  assert.equal(backfilled?.dueMicros, undefined);
});

Deno.test("generate() yields no reading at or after the end", () => {
  const ten = options({ count: Infinity, durationMicros: 10e6, dropoutShare: 0 });
  assert.equal(Array.from(generate(ten)).length, 10);
});

Deno.test("generate() labels each record with the result that the consumer's decoder gives", () => {
  const limits = { minBpm: 30, maxBpm: 220, lowBpm: 45, highBpm: 180, maxClockSkewSeconds: 300 };
  const decode = createDecoder(limits, () => (START_MICROS + DAY_MICROS) / 1000);
  const seen = new Map<string, number>();
  const wrong: string[] = [];
  const faults = { outOfRange: 0.1, malformed: 0.3, duplicate: 0.1 };
  for (const { value, fault } of generate(options({ faults }))) {
    const decoded = decode(value);
    const outcome = decoded.kind === "reject" ? decoded.reason : "stored";
    const expected = fault === undefined || fault === "duplicate" ? "stored" : fault;
    if (outcome !== expected) wrong.push(`${expected}, but ${outcome}: ${value}`);
    seen.set(fault ?? "stored", (seen.get(fault ?? "stored") ?? 0) + 1);
  }
  assert.deepEqual(wrong, []);
  const share = (faults: string[]) => faults.reduce((sum, fault) => sum + (seen.get(fault) ?? 0), 0) / 5_000;
  assert.ok(
    Math.abs(share(["heart_rate_out_of_range"]) - 0.07) < 0.02,
    `${share(["heart_rate_out_of_range"])}`,
  );
  assert.equal(seen.size, 14, `every kind occurs: ${[...seen.keys()]}`);
});

Deno.test("generate() repeats the last record of the same customer as a duplicate", () => {
  const last = new Map<string, string>();
  let duplicates = 0;
  for (const { key, value, fault } of generate(options())) {
    const customer = key.toString();
    if (fault === "duplicate") {
      duplicates++;
      assert.equal(String(value), last.get(customer));
    }
    if (fault === undefined) last.set(customer, String(value));
  }
  assert.ok(duplicates > 50, `${duplicates} duplicates`);
});
