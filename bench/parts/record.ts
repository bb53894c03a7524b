import { Buffer } from "node:buffer";
import { createDecoder } from "../../workers/_shared/record/decode.ts";
import { heartbeatSchema } from "../../workers/_shared/record/heartbeat.ts";
import { decodeFastPath, FastPathRecord } from "../../workers/_shared/record/fast_path.ts";
import { heartRateOf } from "../lab/fleet.ts";
import type { Part } from "./part.ts";

const START_MS = Date.UTC(2026, 6, 14, 9, 30);
const LIMITS = { minBpm: 30, maxBpm: 220, lowBpm: 45, highBpm: 180, maxClockSkewSeconds: 300 };

function values(records: number, more: object = {}): Buffer[] {
  return Array.from({ length: records }, (_, index) => {
    const timestamp = new Date(START_MS + index).toISOString();
    return Buffer.from(
      JSON.stringify({
        customer_id: `c-${index % 1_000}`,
        ...more,
        timestamp,
        heart_rate: heartRateOf(1, index),
      }),
    );
  });
}

export function fastPathRecord(records: number): Part {
  const all = values(records);
  const into = new FastPathRecord();
  const decode = createDecoder(LIMITS, () => START_MS + 1e9);
  return {
    own: () => all.forEach((value) => decodeFastPath(value, 0, value.length, into)),
    alternative: () => all.forEach((value) => decode(value)),
    instead: "the decoder alone",
  };
}

/** With an additional member, a record does not qualify for the fast path. */
export function membersByHand(records: number): Part {
  const all = values(records, { device: "charge-hr" });
  const decode = createDecoder(LIMITS, () => START_MS + 1e9);
  return {
    own: () => all.forEach((value) => decode(value)),
    alternative: () => all.forEach((value) => heartbeatSchema.safeParse(JSON.parse(value.toString()))),
    instead: "JSON.parse and zod",
  };
}
