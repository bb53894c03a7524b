import { createDecoder } from "../../workers/_shared/record/decode.ts";

export const NOW = Date.UTC(2026, 6, 14, 9, 30);
export const VALID = { customer_id: "c-1", timestamp: "2026-07-14T09:29:59.123456Z", heart_rate: 72 };

export const LIMITS = { minBpm: 30, maxBpm: 220, lowBpm: 45, highBpm: 180, maxClockSkewSeconds: 300 };

/** A decoder whose clock is just after the valid record. */
export const decode = createDecoder(LIMITS, () => NOW);

export function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Returns the valid record as JSON, with `source` in place of one value. `source` need not be JSON. */
export function written(name: keyof typeof VALID, source: string): string {
  return JSON.stringify({ ...VALID, [name]: "SOURCE" }).replace('"SOURCE"', () => source);
}
