/**
 * Synthetic heart rates of any number of customers: a pure function of the seed and the schedule. The same seed gives
 * the same records, byte for byte, however they are batched and paced.
 */
import { Buffer } from "node:buffer";
import { malform, outOfRangeBpm } from "./faults.ts";
import { Heart, type HeartOptions } from "./heart/heart.ts";
import { Random } from "./heart/random.ts";
import type { OutgoingRecord, RecordSource } from "./publish/records.ts";
import { beginningOf, formatInstant, ReadingWriter } from "./reading_writer.ts";

export interface GenerateOptions extends HeartOptions {
  readonly customers: number;
  /** The first sample's instant, microseconds since the Unix epoch. */
  readonly startMicros: number;
  /** Between two samples, of whichever customers. They take turns, so one customer's are `customers` times as far apart. */
  readonly spacingMicros: number;
  /** No sample is taken at or after this instant. */
  readonly endMicros?: number | undefined;
  /** No more records than this. */
  readonly count?: number | undefined;
  /** Whether a record is to be offered at its own instant, or at once. */
  readonly live: boolean;
  /** How many records are replaced by bad ones, each from 0 to 1. */
  readonly faults: { readonly outOfRange: number; readonly malformed: number; readonly duplicate: number };
}

export interface Synthetic extends Omit<GenerateOptions, "startMicros" | "endMicros"> {
  /** Of a backfill; undefined: a live run begins when Kafka is there. */
  readonly startMicros: number | undefined;
  /** Infinity: without an end. */
  readonly durationMicros: number;
}

/** Synthetic customers as a source of records. */
export function syntheticSource(options: Synthetic): RecordSource {
  const { startMicros, durationMicros, spacingMicros, count = Infinity, live } = options;
  const expected = Math.min(count, Math.ceil(durationMicros / spacingMicros));
  return {
    start: async function* (nowMicros) {
      // On the millisecond: nobody's device reports a fraction of one.
      const from = startMicros ?? Math.ceil(nowMicros / 1000) * 1000;
      yield generate({ ...options, startMicros: from, endMicros: from + durationMicros });
    },
    expected: expected === Infinity ? undefined : expected,
    recordsPerSecond: live ? 1e6 / spacingMicros : undefined,
  };
}

/** Yields the records in the order of their instants. */
export function* generate(options: GenerateOptions): Generator<OutgoingRecord, void, undefined> {
  const { customers, startMicros, spacingMicros, endMicros = Infinity, count = Infinity } = options;
  const known: ReturnType<typeof createCustomer>[] = [];
  const writer = new ReadingWriter();
  let yielded = 0;
  for (let sample = 0; yielded < count; sample++) {
    const micros = startMicros + Math.floor(sample * spacingMicros);
    if (micros >= endMicros) return;
    const turn = sample % customers;
    const customer = known[turn] ??= createCustomer(options, turn + 1, micros / 1e6);
    const heartRate = customer.heart.read(micros / 1e6);
    // The sensor has no contact.
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
    beginning: beginningOf(id),
    heart: new Heart(options, number, startSeconds),
    /** Apart from the heart's, so that a fault rate changes the faults and no heart rate. */
    random: new Random(options.seed, number, "faults"),
    /** Of its last sound reading; NaN before the first. */
    lastMicros: NaN,
    lastHeartRate: NaN,
  };
}

/** All of one shape, whatever they are: whoever handles a million of them a second is then twice as fast. */
function createRecord(
  customer: ReturnType<typeof createCustomer>,
  { micros, heartRate }: { micros: number; heartRate: number },
  { live, faults }: GenerateOptions,
  writer: ReadingWriter,
): OutgoingRecord {
  const { id, key, beginning, random } = customer;
  const dueMicros = live ? micros : undefined;
  if (random.chance(faults.malformed)) {
    const reading = { customer_id: id, timestamp: formatInstant(micros), heart_rate: heartRate };
    const { value, fault } = malform(reading, random);
    return { key, value, dueMicros, fault };
  }
  if (random.chance(faults.outOfRange)) {
    const value = writer.write(beginning, micros, outOfRangeBpm(random));
    return { key, value, dueMicros, fault: "heart_rate_out_of_range" };
  }
  const repeats = !Number.isNaN(customer.lastMicros) && random.chance(faults.duplicate);
  if (!repeats) {
    customer.lastMicros = micros;
    customer.lastHeartRate = heartRate;
  }
  const value = writer.write(beginning, customer.lastMicros, customer.lastHeartRate);
  return { key, value, dueMicros, fault: repeats ? "duplicate" : undefined };
}
