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

/** How many records are replaced by bad ones, each from 0 to 1. */
export interface FaultRates {
  readonly outOfRange: number;
  readonly malformed: number;
  readonly duplicate: number;
}

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
  readonly faults: FaultRates;
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

interface Customer {
  readonly id: string;
  readonly key: Buffer;
  /** Of each of its readings' JSON. */
  readonly beginning: Buffer;
  readonly heart: Heart;
  /** Apart from the heart's, so that a fault rate changes the faults and no heart rate. */
  readonly random: Random;
  /** Of its last sound reading; NaN before the first. */
  lastMicros: number;
  lastHeartRate: number;
}

/** Yields the records in the order of their instants. */
export function* generate(options: GenerateOptions): Generator<OutgoingRecord, void, undefined> {
  const { customers, startMicros, spacingMicros, endMicros = Infinity, count = Infinity, live } = options;
  const known: Customer[] = [];
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
    const dueMicros = live ? micros : undefined;
    yield createRecord(customer, { micros, heartRate, dueMicros }, options.faults, writer);
  }
}

function createCustomer(options: GenerateOptions, number: number, startSeconds: number): Customer {
  const id = `customer-${String(number).padStart(5, "0")}`;
  return {
    id,
    key: Buffer.from(id),
    beginning: beginningOf(id),
    heart: new Heart(options, number, startSeconds),
    random: new Random(options.seed, number, "faults"),
    lastMicros: NaN,
    lastHeartRate: NaN,
  };
}

/** All of one shape, whatever they are: whoever handles a million of them a second is then twice as fast. */
function createRecord(
  customer: Customer,
  { micros, heartRate, dueMicros }: { micros: number; heartRate: number; dueMicros: number | undefined },
  rates: FaultRates,
  writer: ReadingWriter,
): OutgoingRecord {
  const { id: customerId, key, beginning, random } = customer;
  if (random.chance(rates.malformed)) {
    const { value, fault } = malform({ customerId, timestamp: formatInstant(micros), heartRate }, random);
    return { key, value, dueMicros, fault };
  }
  if (random.chance(rates.outOfRange)) {
    const value = writer.write(beginning, micros, outOfRangeBpm(random));
    return { key, value, dueMicros, fault: "heart_rate_out_of_range" };
  }
  if (!Number.isNaN(customer.lastMicros) && random.chance(rates.duplicate)) {
    const value = writer.write(beginning, customer.lastMicros, customer.lastHeartRate);
    return { key, value, dueMicros, fault: "duplicate" };
  }
  customer.lastMicros = micros;
  customer.lastHeartRate = heartRate;
  return { key, value: writer.write(beginning, micros, heartRate), dueMicros, fault: undefined };
}
