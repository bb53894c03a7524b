/**
 * Synthetic heart rates of any number of customers: a pure function of the seed and the schedule. The same seed gives
 * the same records, byte for byte, however they are batched and paced.
 */
import { Buffer } from "node:buffer";
import { formatInstant } from "./clock.ts";
import { type Fault, malform, outOfRangeBpm } from "./faults.ts";
import { Heart } from "./heart/heart.ts";
import { Random } from "./heart/random.ts";
import { beginningOf, ReadingWriter } from "./reading_writer.ts";

/** A record on its way to Kafka. */
export interface OutgoingRecord {
  readonly key: Buffer;
  /** null is a tombstone. */
  readonly value: Buffer | null;
  /** When it is to be offered, microseconds since the Unix epoch; undefined: at once. */
  readonly dueMicros?: number | undefined;
  /** Why a consumer will not store it. */
  readonly fault?: Fault | undefined;
}

/** How many records are replaced by bad ones, each from 0 to 1. */
export interface FaultRates {
  readonly outOfRange: number;
  readonly malformed: number;
  readonly duplicate: number;
}

export interface GenerateOptions {
  /** A 32-bit integer. */
  readonly seed: number;
  readonly customers: number;
  /** The first sample's instant, microseconds since the Unix epoch. */
  readonly startMicros: number;
  /** Between two samples, of whichever customers. They take turns, so one customer's are `customers` times as far apart. */
  readonly spacingMicros: number;
  /** No sample is taken at or after this instant. */
  readonly endMicros?: number;
  /** No more records than this. */
  readonly count?: number;
  /** Whether a record is to be offered at its own instant, or at once. */
  readonly live: boolean;
  readonly arrhythmiaShare: number;
  readonly dropoutShare: number;
  readonly faults: FaultRates;
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
    yield createRecord(customer, { micros, heartRate, dueMicros, rates: options.faults, writer });
  }
}

function createCustomer(options: GenerateOptions, number: number, startSeconds: number): Customer {
  const { seed, arrhythmiaShare, dropoutShare } = options;
  const id = `customer-${String(number).padStart(5, "0")}`;
  return {
    id,
    key: Buffer.from(id),
    beginning: beginningOf(id),
    heart: new Heart({ seed, customer: number, startSeconds, arrhythmiaShare, dropoutShare }),
    random: new Random(seed, number, "faults"),
    lastMicros: NaN,
    lastHeartRate: NaN,
  };
}

interface Sample {
  readonly micros: number;
  readonly heartRate: number;
  readonly dueMicros: number | undefined;
  readonly rates: FaultRates;
  readonly writer: ReadingWriter;
}

/** All of one shape, whatever they are: whoever handles a million of them a second is then twice as fast. */
function createRecord(
  customer: Customer,
  { micros, heartRate, dueMicros, rates, writer }: Sample,
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
