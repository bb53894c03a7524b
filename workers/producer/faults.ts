/** Records that are wrong on purpose, as devices in the field send them: a consumer must reject each, and only it. */
import { Buffer } from "node:buffer";
import type { Random } from "./random.ts";

/** What a sound record would say. */
export interface Reading {
  readonly customerId: string;
  readonly timestamp: string;
  readonly heartRate: number;
}

/** A reading as it is published. */
export function encodeReading({ customerId, timestamp, heartRate }: Reading): Buffer {
  return Buffer.from(
    `{"customer_id":${JSON.stringify(customerId)},"timestamp":"${timestamp}","heart_rate":${heartRate}}`,
  );
}

type Breaker = (reading: Reading, random: Random) => Buffer | null;

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

/** Every way of being malformed, by the name under which the summary counts it. */
const BREAKERS = {
  truncated: (reading, random) => {
    const whole = encodeReading(reading);
    return whole.subarray(0, random.integer(1, whole.length - 1));
  },
  not_json: () => Buffer.from("heart_rate=72"),
  trailing_text: (reading) => Buffer.concat([encodeReading(reading), Buffer.from(" ok")]),
  wrong_shape: (reading) => json([reading.customerId, reading.timestamp, reading.heartRate]),
  invalid_utf8: (reading) => Buffer.concat([Buffer.from([0xc3, 0x28]), encodeReading(reading)]),
  empty_value: () => Buffer.alloc(0),
  tombstone: () => null,
  missing_field: ({ timestamp, heartRate }) => json({ timestamp, heart_rate: heartRate }),
  empty_customer_id: ({ timestamp, heartRate }) =>
    json({ customer_id: "", timestamp, heart_rate: heartRate }),
  impossible_date: ({ customerId, heartRate }) =>
    json({ customer_id: customerId, timestamp: "2026-02-30T12:00:00Z", heart_rate: heartRate }),
  fractional_rate: ({ customerId, timestamp, heartRate }) =>
    json({ customer_id: customerId, timestamp, heart_rate: heartRate + 0.5 }),
  textual_rate: ({ customerId, timestamp, heartRate }) =>
    json({ customer_id: customerId, timestamp, heart_rate: `${heartRate} bpm` }),
  absent_rate: ({ customerId, timestamp }) => json({ customer_id: customerId, timestamp, heart_rate: null }),
} as const satisfies Record<string, Breaker>;

export type Malformation = keyof typeof BREAKERS;
export type Fault = Malformation | "out_of_range" | "duplicate";

const MALFORMATIONS = Object.keys(BREAKERS) as [Malformation, ...Malformation[]];

/** @returns the value to publish in place of the reading; null is a tombstone */
export function malform(reading: Reading, random: Random): { fault: Malformation; value: Buffer | null } {
  const fault = random.pick(MALFORMATIONS);
  const breaker: Breaker = BREAKERS[fault];
  return { fault, value: breaker(reading, random) };
}

/** A rate outside of 30 to 220 bpm: a loose sensor's zero, a byte's 255, or anything near the bounds. */
export function outOfRangeBpm(random: Random): number {
  return random.pick([0, -1, 255, random.integer(1, 29), random.integer(221, 300)]);
}
