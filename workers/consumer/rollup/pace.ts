/** When the rollup works, and when the ingest makes room for it: the ingest comes first. */

export const MIN_PAUSE_MS = 250;
export const MAX_PAUSE_MS = 10_000;
/** So many records that wait in Kafka are a backlog; fewer are under way at any moment. */
const BACKLOG_RECORDS = 50_000;

/**
 * The pause after a round. Larger rounds cost less, since the readings that a customer has in one of them are merged first:
 * while the ingest works off a backlog at full speed, rounds are fewer and larger.
 *
 * @param due records that wait for the ingest
 */
export function pauseMs(roundMs: number, due: number): number {
  const wanted = due < BACKLOG_RECORDS ? roundMs : 3 * roundMs;
  return Math.min(Math.max(MIN_PAUSE_MS, wanted), MAX_PAUSE_MS);
}

const NARROW_SECONDS = 60;
const WIDE_SECONDS = 30;

/** Whether the ingest makes room for a rollup that falls behind: two bounds, or it would change with every round. */
export function isNarrow(wasNarrow: boolean, lagSeconds: number): boolean {
  return lagSeconds > (wasNarrow ? WIDE_SECONDS : NARROW_SECONDS);
}
