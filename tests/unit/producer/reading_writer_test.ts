import assert from "node:assert/strict";
import fc from "fast-check";
import { formatInstant, readingPrefix, ReadingWriter } from "../../../workers/producer/reading_writer.ts";

/** The years 1684 to 2255, in which a double is exact to the microsecond. */
const MICROS = fc.maxSafeInteger();

const READING = fc.record({
  customerId: fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("customer-00001", "7", 'Zo\u00eb "Z"')),
  micros: fc.oneof(MICROS, fc.integer({ min: 0, max: 4_102_444_800_000 }).map((ms) => ms * 1000)),
  heartRate: fc.oneof(
    fc.integer({ min: -1, max: 1_001 }),
    fc.integer({ min: -999_999_999, max: 999_999_999 }),
  ),
});

type Reading = typeof READING extends fc.Arbitrary<infer T> ? T : never;

function encode({ customerId, micros, heartRate }: Reading): string {
  return JSON.stringify({ customer_id: customerId, timestamp: formatInstant(micros), heart_rate: heartRate });
}

Deno.test("ReadingWriter writes the same bytes as JSON.stringify(), also after other readings", () => {
  fc.assert(fc.property(fc.array(READING, { minLength: 1, maxLength: 20 }), (readings) => {
    const writer = new ReadingWriter();
    const written = readings.map(({ customerId, micros, heartRate }) =>
      writer.write(readingPrefix(customerId), micros, heartRate)
    );
    const expected = readings.map(encode);
    assert.deepEqual(written.map(String), expected);
  }));
});

Deno.test("ReadingWriter does not overwrite values that it returned earlier", () => {
  const writer = new ReadingWriter();
  const id = "x".repeat(1_000);
  const start = Date.UTC(2026, 0, 5, 23, 59, 58) * 1000;
  const written = Array.from(
    { length: 1_000 },
    (_, n) => writer.write(readingPrefix(id), start + n * 5_000, n),
  );
  written.forEach((value, n) => {
    assert.equal(String(value), encode({ customerId: id, micros: start + n * 5_000, heartRate: n }));
  });
});

Deno.test("ReadingWriter writes a customer id that is longer than its buffer", () => {
  const id = "\u{1F493}".repeat(100_000);
  const value = new ReadingWriter().write(readingPrefix(id), 1, 72);
  assert.equal(String(value), encode({ customerId: id, micros: 1, heartRate: 72 }));
});
