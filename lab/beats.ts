/**
 * Folder `lab`: tests, benchmarks and chaos use it. It creates topics and databases, publishes records, starts worker
 * processes, and waits for facts. It asserts nothing.
 *
 * A test waits for a fact and never sleeps, because a fixed sleep is either too long or too short.
 */
import type { Outgoing } from "./produce.ts";

export interface Beats {
  readonly customer: string;
  /** Seconds before the present at which the first and the last reading were measured. */
  readonly from: number;
  readonly to?: number;
  /** Seconds between two readings. */
  readonly every?: number;
  readonly bpm: number | ((secondsAgo: number) => number);
}

/** Readings of one customer in the recent past. */
export function beats({ customer, from, to = 0, every = 5, bpm }: Beats, now = Date.now()): Outgoing[] {
  const count = Math.floor((from - to) / every) + 1;
  return Array.from({ length: count }, (_, index) => {
    const ago = from - index * every;
    return reading(customer, now - ago * 1000, typeof bpm === "number" ? bpm : bpm(ago));
  });
}

export function reading(customer: string, at: number, heartRate: number): Outgoing {
  return {
    value: { customer_id: customer, timestamp: new Date(at).toISOString(), heart_rate: heartRate },
  };
}
