/**
 * Synthetic heart rates of any number of customers: a pure function of the seed and the schedule. The same seed gives
 * the same records, byte for byte, however they are batched and paced.
 */
import { Buffer } from "node:buffer";
import type { Heartbeat } from "../_shared/record/heartbeat.ts";
import { Heart, type HeartOptions } from "./heart/heart.ts";
import { Random } from "./heart/random.ts";
import type { Fault, OutgoingRecord, RecordSource } from "./publish/records.ts";
import { beginningOf, formatInstant, ReadingWriter } from "./reading_writer.ts";

export interface GenerateOptions extends HeartOptions {
  readonly customers: number;
  /** The first sample's instant, microseconds since the Unix epoch. */
  readonly startMicros: number;
  /** Between two samples, of whichever customers. They take turns, so one customer's are `customers` times as far apart. */
  readonly spacingMicros: number;
  /** No sample is taken so long after the first, or later; without an end unless told. */
  readonly durationMicros?: number;
  /** No more records than this. */
  readonly count?: number | undefined;
  /** Whether a record is to be offered at its own instant, or at once. */
  readonly live: boolean;
  /** How many records are replaced by bad ones, each from 0 to 1. */
  readonly faults: { readonly outOfRange: number; readonly malformed: number; readonly duplicate: number };
}

export interface Synthetic extends Omit<GenerateOptions, "startMicros"> {
  /** Of a backfill; undefined: a live run begins when Kafka is there. */
  readonly startMicros: number | undefined;
}

const json = JSON.stringify;

/**
 * What is published in place of a sound record, as devices in the field send it: a consumer must reject each, and only it.
 * Each byte is one character; null is a tombstone.
 */
type Malformation = readonly [fault: Fault, write: (sound: Heartbeat, random: Random) => string | null];

const MALFORMATIONS: readonly [Malformation, ...Malformation[]] = [
  ["invalid_json", (sound, random) => json(sound).slice(0, random.integer(1, json(sound).length - 1))],
  ["invalid_json", () => "heart_rate=72"],
  ["invalid_json", (sound) => `${json(sound)} ok`],
  ["not_an_object", (sound) => json(Object.values(sound))],
  ["invalid_utf8", (sound) => `\xc3(${json(sound)}`],
  ["empty_value", () => ""],
  ["tombstone", () => null],
  ["missing_customer_id", (sound) => json({ ...sound, customer_id: undefined })],
  ["invalid_customer_id", (sound) => json({ ...sound, customer_id: "" })],
  ["invalid_timestamp", (sound) => json({ ...sound, timestamp: "2026-02-30T12:00:00Z" })],
  ["timestamp_in_future", (sound) => json({ ...sound, timestamp: "9999-12-31T23:59:59Z" })],
  ["invalid_heart_rate", (sound) => json({ ...sound, heart_rate: sound.heart_rate + 0.5 })],
  ["invalid_heart_rate", (sound) => json({ ...sound, heart_rate: `${sound.heart_rate} bpm` })],
  ["missing_heart_rate", (sound) => json({ ...sound, heart_rate: undefined })],
];

/** Synthetic customers as a source of records. */
export function syntheticSource(options: Synthetic): RecordSource {
  const { startMicros, durationMicros = Infinity, spacingMicros, count = Infinity, live } = options;
  const expected = Math.min(count, Math.ceil(durationMicros / spacingMicros));
  return {
    start: async function* (nowMicros) {
      // On the millisecond: nobody's device reports a fraction of one.
      const from = startMicros ?? Math.ceil(nowMicros / 1000) * 1000;
      yield generate({ ...options, startMicros: from });
    },
    expected: expected === Infinity ? undefined : expected,
    recordsPerSecond: live ? 1e6 / spacingMicros : undefined,
  };
}

/** Yields the records in the order of their instants. */
export function* generate(options: GenerateOptions): Generator<OutgoingRecord, void, undefined> {
  const { customers, startMicros, spacingMicros, durationMicros = Infinity, count = Infinity } = options;
  const known: ReturnType<typeof createCustomer>[] = [];
  const writer = new ReadingWriter();
  let yielded = 0;
  for (let sample = 0; yielded < count; sample++) {
    const micros = startMicros + Math.floor(sample * spacingMicros);
    if (micros >= startMicros + durationMicros) return;
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
    const [fault, write] = random.pick(MALFORMATIONS);
    const text = write({ customer_id: id, timestamp: formatInstant(micros), heart_rate: heartRate }, random);
    return { key, value: text === null ? null : Buffer.from(text, "latin1"), dueMicros, fault };
  }
  if (random.chance(faults.outOfRange)) {
    // Outside of 30 to 220 bpm: a loose sensor's zero, a byte's 255, or anything near the bounds.
    const bpm = random.pick([0, -1, 255, random.integer(1, 29), random.integer(221, 300)]);
    return { key, value: writer.write(beginning, micros, bpm), dueMicros, fault: "heart_rate_out_of_range" };
  }
  const repeats = !Number.isNaN(customer.lastMicros) && random.chance(faults.duplicate);
  if (!repeats) {
    customer.lastMicros = micros;
    customer.lastHeartRate = heartRate;
  }
  const value = writer.write(beginning, customer.lastMicros, customer.lastHeartRate);
  return { key, value, dueMicros, fault: repeats ? "duplicate" : undefined };
}
