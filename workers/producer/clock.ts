/**
 * The time, which tests replace. Instants are microseconds since the Unix epoch, which a double holds exactly and a
 * `Date` does not.
 */
import { sleep } from "../_shared/backoff.ts";

export interface Clock {
  /** Microseconds since the Unix epoch. */
  readonly nowMicros: () => number;
  /** Resolves after `ms`, or at once when the signal aborts. */
  readonly sleep: (ms: number, options: { signal: AbortSignal }) => Promise<void>;
}

/** Monotonic, so that a corrected system clock neither stalls the schedule nor makes it burst. */
export const systemClock: Clock = {
  nowMicros: () => Math.floor((performance.timeOrigin + performance.now()) * 1000),
  sleep,
};

/** ISO 8601 in UTC, with milliseconds, or microseconds where they matter. */
export function formatInstant(micros: number): string {
  const millis = Math.floor(micros / 1000);
  const rest = micros - millis * 1000;
  const text = new Date(millis).toISOString();
  return rest === 0 ? text : `${text.slice(0, -1)}${String(rest).padStart(3, "0")}Z`;
}
