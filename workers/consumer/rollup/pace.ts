/** When the rollup works, and when the ingest makes room for it: the ingest comes first. */

export const MIN_PAUSE_MS = 250;
export const MAX_PAUSE_MS = 8_000;
/** So many records that wait in Kafka are a backlog; fewer are under way at any moment. */
const BACKLOG_RECORDS = 50_000;

/**
 * The pause after a round. A round costs by the customers and minutes in it, not by their readings: while the ingest works
 * off a backlog at full speed, rounds are few and large.
 *
 * @param due records that wait for the ingest
 * @param isWhole whether the round took all that waited; the rest of a larger one shall not wait as long
 */
export function pauseMs(roundMs: number, due: number, isWhole: boolean): number {
  if (isWhole && due >= BACKLOG_RECORDS) return MAX_PAUSE_MS;
  return Math.min(Math.max(MIN_PAUSE_MS, roundMs), MAX_PAUSE_MS);
}

/** Target duration of a slice: making or dropping a partition waits for it. */
const SLICE_MS = 400;
export const MIN_REBUILD_ROWS = 5_000;
const MOST_SLICE_ROWS = 50_000;

/** @param rows of the last slice @param ms how long it took */
export function nextRebuildRows(rows: number, ms: number): number {
  return Math.min(Math.max(MIN_REBUILD_ROWS, Math.ceil(rows * Math.min(2, SLICE_MS / ms))), MOST_SLICE_ROWS);
}

const NARROW_SECONDS = 60;
const WIDE_SECONDS = 30;

/**
 * How many connections the ingest uses: one less while the rollup falls behind, to make room for it. Two bounds, or it
 * would change with every round. A rollup that does no rounds gets no room.
 */
export function ingestConnections(
  connections: number,
  { last, lagSeconds, isStalled }: { last: number; lagSeconds: number; isStalled: boolean },
): number {
  const isNarrow = !isStalled && lagSeconds > (last < connections ? WIDE_SECONDS : NARROW_SECONDS);
  return isNarrow ? Math.max(1, connections - 1) : connections;
}
