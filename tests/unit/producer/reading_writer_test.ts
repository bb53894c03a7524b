import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeReading } from "../../../workers/producer/faults.ts";
import { beginningOf, formatInstant, ReadingWriter } from "../../../workers/producer/reading_writer.ts";

/** The years 1684 to 2255, in which a double holds every microsecond. */
const MICROS = fc.maxSafeInteger();

const READING = fc.record({
  customerId: fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("customer-00001", "7", 'Zo\u00eb "Z"')),
  micros: fc.oneof(MICROS, fc.integer({ min: 0, max: 4_102_444_800_000 }).map((ms) => ms * 1000)),
  heartRate: fc.oneof(
    fc.integer({ min: -1, max: 1_001 }),
    fc.integer({ min: -999_999_999, max: 999_999_999 }),
  ),
});

Deno.test("ReadingWriter writes what encodeReading() gives, whatever it wrote before", () => {
  fc.assert(fc.property(fc.array(READING, { minLength: 1, maxLength: 20 }), (readings) => {
    const writer = new ReadingWriter();
    const written = readings.map(({ customerId, micros, heartRate }) =>
      writer.write(beginningOf(customerId), micros, heartRate)
    );
    const expected = readings.map(({ customerId, micros, heartRate }) =>
      encodeReading({ customerId, timestamp: formatInstant(micros), heartRate })
    );
    assert.deepEqual(written.map(String), expected.map(String));
  }));
});

Deno.test("ReadingWriter keeps what it gave away, through more than its memory holds at a time", () => {
  const writer = new ReadingWriter();
  const id = "x".repeat(1_000);
  const start = Date.UTC(2026, 0, 5, 23, 59, 58) * 1000;
  const written = Array.from(
    { length: 1_000 },
    (_, n) => writer.write(beginningOf(id), start + n * 5_000, n),
  );
  written.forEach((value, n) => {
    const reading = { customerId: id, timestamp: formatInstant(start + n * 5_000), heartRate: n };
    assert.equal(String(value), String(encodeReading(reading)));
  });
});

Deno.test("ReadingWriter takes a customer whose name is longer than its memory", () => {
  const id = "\u{1F493}".repeat(100_000);
  const value = new ReadingWriter().write(beginningOf(id), 1, 72);
  const expected = encodeReading({ customerId: id, timestamp: formatInstant(1), heartRate: 72 });
  assert.equal(Buffer.compare(value, expected), 0);
});
