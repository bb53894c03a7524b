/** Records that are wrong on purpose, as devices in the field send them: a consumer must reject each, and only it. */
import { Buffer } from "node:buffer";
import type { Random } from "./heart/random.ts";
import type { Fault } from "./publish/records.ts";

/** What a sound record would say, in the wire's names and order. Its texts are ASCII. */
interface Reading {
  readonly customer_id: string;
  readonly timestamp: string;
  readonly heart_rate: number;
}

const json = JSON.stringify;

/** What is published in place of a reading, each byte as one character; null is a tombstone. */
type Malformation = readonly [fault: Fault, write: (reading: Reading, random: Random) => string | null];

const MALFORMATIONS: readonly [Malformation, ...Malformation[]] = [
  ["invalid_json", (reading, random) => json(reading).slice(0, random.integer(1, json(reading).length - 1))],
  ["invalid_json", () => "heart_rate=72"],
  ["invalid_json", (reading) => `${json(reading)} ok`],
  ["not_an_object", (reading) => json(Object.values(reading))],
  ["invalid_utf8", (reading) => `\xc3(${json(reading)}`],
  ["empty_value", () => ""],
  ["tombstone", () => null],
  ["missing_customer_id", (reading) => json({ ...reading, customer_id: undefined })],
  ["invalid_customer_id", (reading) => json({ ...reading, customer_id: "" })],
  ["invalid_timestamp", (reading) => json({ ...reading, timestamp: "2026-02-30T12:00:00Z" })],
  ["timestamp_in_future", (reading) => json({ ...reading, timestamp: "9999-12-31T23:59:59Z" })],
  ["invalid_heart_rate", (reading) => json({ ...reading, heart_rate: reading.heart_rate + 0.5 })],
  ["invalid_heart_rate", (reading) => json({ ...reading, heart_rate: `${reading.heart_rate} bpm` })],
  ["missing_heart_rate", (reading) => json({ ...reading, heart_rate: undefined })],
];

/** @returns what to publish in place of the reading, which a consumer will not store, and why not */
export function malform(
  reading: Reading,
  random: Random,
): { readonly value: Buffer | null; readonly fault: Fault } {
  const [fault, write] = random.pick(MALFORMATIONS);
  const text = write(reading, random);
  return { value: text === null ? null : Buffer.from(text, "latin1"), fault };
}

/** A rate outside of 30 to 220 bpm: a loose sensor's zero, a byte's 255, or anything near the bounds. */
export function outOfRangeBpm(random: Random): number {
  return random.pick([0, -1, 255, random.integer(1, 29), random.integer(221, 300)]);
}
