/**
 * Synthetic heart rates of any number of customers: a pure function of the seed and the schedule. The same seed gives
 * the same records, byte for byte, however they are batched and paced.
 */
import { Buffer } from "node:buffer";
import { encodeReading, type Fault, malform, outOfRangeBpm, type Reading } from "./faults.ts";
import { Heart } from "./heart.ts";
import { formatInstant } from "./clock.ts";
import { Random } from "./random.ts";

/** A record on its way to Kafka. */
export interface OutgoingRecord {
  readonly key: Buffer;
  /** null is a tombstone. */
  readonly value: Buffer | null;
  /** When it is to be offered, microseconds since the Unix epoch; undefined: at once. */
  readonly dueMicros?: number;
  /** Why a consumer will not store it. */
  readonly fault?: Fault;
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
  readonly heart: Heart;
  /** Apart from the heart's, so that a fault rate changes the faults and no heart rate. */
  readonly random: Random;
  last?: Buffer;
}

/** Yields the records in the order of their instants. */
export function* generate(options: GenerateOptions): Generator<OutgoingRecord, void, undefined> {
  const { customers, startMicros, spacingMicros, endMicros = Infinity, count = Infinity, live } = options;
  const known: Customer[] = [];
  let yielded = 0;
  for (let sample = 0; yielded < count; sample++) {
    const micros = startMicros + Math.floor(sample * spacingMicros);
    if (micros >= endMicros) return;
    const turn = sample % customers;
    const customer = known[turn] ??= createCustomer(options, turn + 1, micros / 1e6);
    const record = createRecord(customer, micros, options.faults);
    if (record === undefined) continue;
    yielded++;
    yield live ? { ...record, dueMicros: micros } : record;
  }
}

function createCustomer(options: GenerateOptions, number: number, startSeconds: number): Customer {
  const { seed, arrhythmiaShare, dropoutShare } = options;
  const id = `customer-${String(number).padStart(5, "0")}`;
  return {
    id,
    key: Buffer.from(id),
    heart: new Heart({ seed, customer: number, startSeconds, arrhythmiaShare, dropoutShare }),
    random: new Random(seed, number, "faults"),
  };
}

/** @returns undefined while the sensor has no contact */
function createRecord(customer: Customer, micros: number, rates: FaultRates): OutgoingRecord | undefined {
  const { id: customerId, key, heart, random } = customer;
  const heartRate = heart.read(micros / 1e6);
  if (heartRate === undefined) return undefined;
  const reading: Reading = { customerId, timestamp: formatInstant(micros), heartRate };
  if (random.chance(rates.malformed)) return { key, ...malform(reading, random) };
  if (random.chance(rates.outOfRange)) {
    const value = encodeReading({ ...reading, heartRate: outOfRangeBpm(random) });
    return { key, value, fault: "heart_rate_out_of_range" };
  }
  if (customer.last !== undefined && random.chance(rates.duplicate)) {
    return { key, value: customer.last, fault: "duplicate" };
  }
  customer.last = encodeReading(reading);
  return { key, value: customer.last };
}
