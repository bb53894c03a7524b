/** An instant of the database or of a measurement, and when a viewer had it. Milliseconds since the Unix epoch. */
export type Seen = readonly [at: number, seenAt: number];

/** Finds the instants in an event stream that comes in pieces. */
export class EventStream {
  /** When each snapshot was taken. A repeated tick counts once. */
  readonly ticks: Seen[] = [];
  readonly readings: Seen[] = [];
  #rest = "";

  add(text: string, nowMs: number): void {
    const events = (this.#rest + text).split("\n\n");
    this.#rest = events.pop() ?? "";
    for (const event of events) {
      // Most events are fragments. Their HTML is not parsed, because the viewers share two cores with all servers.
      const [, name, data = ""] = /^event: (tick|readings)\ndata: (.*)$/.exec(event) ?? [];
      if (name === "tick") {
        const { at } = JSON.parse(data);
        if (at !== this.ticks.at(-1)?.[0]) this.ticks.push([at, nowMs]);
      } else if (name === "readings") {
        for (const at of JSON.parse(data).ts) this.readings.push([at, nowMs]);
      }
    }
  }
}

const STEP_MS = 10;

/**
 * Delays from commits to the screen, one for each 10 ms. A commit is on the screen with the first snapshot that is younger.
 *
 * @param ticks of one viewer, in order
 * @param fromMs start and end of the commits, in milliseconds since the Unix epoch
 */
export function snapshotDelays(ticks: readonly Seen[], fromMs: number, endMs: number): number[] {
  const delays: number[] = [];
  let next = 0;
  for (let commit = fromMs; commit < endMs; commit += STEP_MS) {
    while (next < ticks.length && (ticks[next]?.[0] ?? 0) < commit) next++;
    const seenAt = ticks[next]?.[1];
    // The stream ended before. Such a commit waits for ever.
    delays.push(seenAt === undefined ? Infinity : seenAt - commit);
  }
  return delays;
}

/** @param share 0.5 is the median */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}
