/** Instants as microseconds since the Unix epoch: a double holds them exactly, a `Date` does not. */

/** The present; monotonic, so that a corrected system clock neither stalls the schedule nor makes it burst. */
export function nowMicros(): number {
  return Math.floor((performance.timeOrigin + performance.now()) * 1000);
}

/** ISO 8601 in UTC, with milliseconds, or microseconds where they matter. */
export function formatInstant(micros: number): string {
  const millis = Math.floor(micros / 1000);
  const rest = micros - millis * 1000;
  const text = new Date(millis).toISOString();
  return rest === 0 ? text : `${text.slice(0, -1)}${String(rest).padStart(3, "0")}Z`;
}
