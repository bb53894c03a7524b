/** Records that are wrong on purpose, as devices in the field send them: a consumer must reject each, and only it. */
import { Buffer } from "node:buffer";
import type { Random } from "./heart/random.ts";
import type { Fault, OutgoingRecord } from "./publish/records.ts";

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

/** A value that a consumer will not store, and why. */
export type Malformed = Pick<OutgoingRecord, "value"> & { readonly fault: Fault };

type Malformation = (reading: Reading, random: Random) => Malformed;

const MALFORMATIONS: readonly [Malformation, ...Malformation[]] = [
  (reading, random) => {
    const whole = encodeReading(reading);
    return { fault: "invalid_json", value: whole.subarray(0, random.integer(1, whole.length - 1)) };
  },
  () => text("invalid_json", "heart_rate=72"),
  (reading) => text("invalid_json", `${encodeReading(reading)} ok`),
  ({ customerId, timestamp, heartRate }) => json("not_an_object", [customerId, timestamp, heartRate]),
  (reading) => ({
    fault: "invalid_utf8",
    value: Buffer.concat([Buffer.from([0xc3, 0x28]), encodeReading(reading)]),
  }),
  () => text("empty_value", ""),
  () => ({ fault: "tombstone", value: null }),
  ({ timestamp, heartRate }) => json("missing_customer_id", { timestamp, heart_rate: heartRate }),
  (reading) => altered("invalid_customer_id", reading, { customer_id: "" }),
  (reading) => altered("invalid_timestamp", reading, { timestamp: "2026-02-30T12:00:00Z" }),
  (reading) => altered("timestamp_in_future", reading, { timestamp: "9999-12-31T23:59:59Z" }),
  (reading) => altered("invalid_heart_rate", reading, { heart_rate: reading.heartRate + 0.5 }),
  (reading) => altered("invalid_heart_rate", reading, { heart_rate: `${reading.heartRate} bpm` }),
  ({ customerId, timestamp }) => json("missing_heart_rate", { customer_id: customerId, timestamp }),
];

function text(fault: Fault, value: string): Malformed {
  return { fault, value: Buffer.from(value) };
}

function json(fault: Fault, value: unknown): Malformed {
  return text(fault, JSON.stringify(value));
}

function altered(fault: Fault, { customerId, timestamp, heartRate }: Reading, fields: object): Malformed {
  return json(fault, { customer_id: customerId, timestamp, heart_rate: heartRate, ...fields });
}

/** @returns what to publish in place of the reading */
export function malform(reading: Reading, random: Random): Malformed {
  return random.pick(MALFORMATIONS)(reading, random);
}

/** A rate outside of 30 to 220 bpm: a loose sensor's zero, a byte's 255, or anything near the bounds. */
export function outOfRangeBpm(random: Random): number {
  return random.pick([0, -1, 255, random.integer(1, 29), random.integer(221, 300)]);
}
