/** Generates synthetic records. The same seed and schedule give the same bytes, however the records are batched and paced. */
import { Buffer } from "node:buffer";
import type { Heartbeat } from "../_shared/record/heartbeat.ts";
import { Heart, type HeartOptions } from "./heart/heart.ts";
import { Random } from "./heart/random.ts";
import type { Fault, OutgoingRecord, RecordSource } from "./publish/records.ts";
import { formatInstant, readingPrefix, ReadingWriter } from "./reading_writer.ts";

export interface GenerateOptions extends HeartOptions {
  readonly customers: number;
  /** Instant of the first sample, in microseconds since the Unix epoch. */
  readonly startMicros: number;
  /** Time between two samples. Customers take turns, so one customer has a sample every `customers * spacingMicros`. */
  readonly spacingMicros: number;
  readonly durationMicros?: number;
  readonly count?: number | undefined;
  /** Whether each record is due at its own instant. Otherwise all records are due at once. */
  readonly live: boolean;
  /** Probability from 0 to 1 that a bad record replaces a valid one. */
  readonly faults: { readonly outOfRange: number; readonly malformed: number; readonly duplicate: number };
}

export interface Synthetic extends Omit<GenerateOptions, "startMicros"> {
  /** Undefined for a live run, which starts when the topic is found. */
  readonly startMicros: number | undefined;
}

const json = JSON.stringify;

/**
 * `write` returns the value of a bad record, or null for a tombstone. The value is encoded as Latin-1, one byte for each character,
 * so that it can hold invalid UTF-8.
 */
type Malformation = readonly [fault: Fault, write: (valid: Heartbeat, random: Random) => string | null];

const MALFORMATIONS: readonly [Malformation, ...Malformation[]] = [
  ["invalid_json", (valid, random) => json(valid).slice(0, random.integer(1, json(valid).length - 1))],
  ["invalid_json", () => "heart_rate=72"],
  ["invalid_json", (valid) => `${json(valid)} ok`],
  ["not_an_object", (valid) => json(Object.values(valid))],
  ["invalid_utf8", (valid) => `\xc3(${json(valid)}`],
  ["empty_value", () => ""],
  ["tombstone", () => null],
  ["missing_customer_id", (valid) => json({ ...valid, customer_id: undefined })],
  ["invalid_customer_id", (valid) => json({ ...valid, customer_id: "" })],
  ["invalid_timestamp", (valid) => json({ ...valid, timestamp: "2026-02-30T12:00:00Z" })],
  ["timestamp_in_future", (valid) => json({ ...valid, timestamp: "9999-12-31T23:59:59Z" })],
  ["invalid_heart_rate", (valid) => json({ ...valid, heart_rate: valid.heart_rate + 0.5 })],
  ["invalid_heart_rate", (valid) => json({ ...valid, heart_rate: `${valid.heart_rate} bpm` })],
  ["missing_heart_rate", (valid) => json({ ...valid, heart_rate: undefined })],
];

export function syntheticSource(options: Synthetic): RecordSource {
  const { startMicros, durationMicros = Infinity, spacingMicros, count = Infinity, live } = options;
  const expected = Math.min(count, Math.ceil(durationMicros / spacingMicros));
  return {
    start: async function* (nowMicros) {
      // Devices report whole milliseconds.
      const from = startMicros ?? Math.ceil(nowMicros / 1000) * 1000;
      yield generate({ ...options, startMicros: from });
    },
    expected: expected === Infinity ? undefined : expected,
    recordsPerSecond: live ? 1e6 / spacingMicros : undefined,
  };
}

export function* generate(options: GenerateOptions): Generator<OutgoingRecord, void, undefined> {
  const { customers, startMicros, spacingMicros, durationMicros = Infinity, count = Infinity } = options;
  const created: ReturnType<typeof createCustomer>[] = [];
  const writer = new ReadingWriter();
  let yielded = 0;
  for (let sample = 0; yielded < count; sample++) {
    const micros = startMicros + Math.floor(sample * spacingMicros);
    if (micros >= startMicros + durationMicros) return;
    const index = sample % customers;
    const customer = created[index] ??= createCustomer(options, index + 1, micros / 1e6);
    const heartRate = customer.heart.read(micros / 1e6);
    // The sensor has no contact, so there is no record to count.
    if (heartRate === undefined) continue;
    yielded++;
    yield createRecord(customer, { micros, heartRate }, options, writer);
  }
}

function createCustomer(options: GenerateOptions, number: number, startSeconds: number) {
  const id = `customer-${String(number).padStart(5, "0")}`;
  return {
    id,
    key: Buffer.from(id),
    prefix: readingPrefix(id),
    heart: new Heart(options, number, startSeconds),
    /** A stream of its own, so that a fault rate does not change any heart rate. */
    random: new Random(options.seed, number, "faults"),
    /** The last valid reading, which a duplicate repeats; NaN before the first. */
    lastMicros: NaN,
    lastHeartRate: NaN,
  };
}

// V8 handles records twice as fast if all of them have the same properties in the same order.
function createRecord(
  customer: ReturnType<typeof createCustomer>,
  { micros, heartRate }: { micros: number; heartRate: number },
  { live, faults }: GenerateOptions,
  writer: ReadingWriter,
): OutgoingRecord {
  const { id, key, prefix, random } = customer;
  const dueMicros = live ? micros : undefined;
  if (random.chance(faults.malformed)) {
    const [fault, write] = random.pick(MALFORMATIONS);
    const text = write({ customer_id: id, timestamp: formatInstant(micros), heart_rate: heartRate }, random);
    return { key, value: text === null ? null : Buffer.from(text, "latin1"), dueMicros, fault };
  }
  if (random.chance(faults.outOfRange)) {
    const bpm = random.pick([0, -1, 255, random.integer(1, 29), random.integer(221, 300)]);
    return { key, value: writer.write(prefix, micros, bpm), dueMicros, fault: "heart_rate_out_of_range" };
  }
  const repeats = !Number.isNaN(customer.lastMicros) && random.chance(faults.duplicate);
  if (!repeats) {
    customer.lastMicros = micros;
    customer.lastHeartRate = heartRate;
  }
  const value = writer.write(prefix, customer.lastMicros, customer.lastHeartRate);
  return { key, value, dueMicros, fault: repeats ? "duplicate" : undefined };
}
