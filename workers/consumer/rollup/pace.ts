/** When the rollup works, and when the ingest makes room for it. Reasons: docs/decisions/0024-change-feed-and-rollup.md. */

export const MIN_PAUSE_MS = 250;
export const MAX_PAUSE_MS = 8_000;
/** Fewer records are in flight at any moment. */
const BACKLOG_RECORDS = 50_000;

/**
 * A round costs by its customers and minutes, hardly by its readings: with a backlog, few large rounds are best. If the ingest
 * gave up a connection for the rollup, the rollup uses it all the time: with pauses it would fall behind without limit.
 */
export function pauseMs(
  roundMs: number,
  dueRecords: number,
  appliedAll: boolean,
  hasConnection: boolean,
): number {
  if (hasConnection) return MIN_PAUSE_MS;
  if (appliedAll && dueRecords >= BACKLOG_RECORDS) return MAX_PAUSE_MS;
  return Math.min(Math.max(MIN_PAUSE_MS, roundMs), MAX_PAUSE_MS);
}

/** Target duration of a rebuilt slice: a day partition cannot be made or dropped meanwhile. */
const SLICE_MS = 400;
export const MIN_REBUILD_ROWS = 5_000;
const MAX_REBUILD_ROWS = 50_000;

export function nextRebuildRows(rows: number, ms: number): number {
  return Math.min(Math.max(MIN_REBUILD_ROWS, Math.ceil(rows * Math.min(2, SLICE_MS / ms))), MAX_REBUILD_ROWS);
}

/** Lags at which the ingest gives up a connection, and takes it back. With a single limit, this would happen at each round. */
const GIVE_UP_SECONDS = 60;
const TAKE_BACK_SECONDS = 30;

/** A stalled rollup gets no connection of the ingest: it could not use it. */
export function ingestConnections(
  connections: number,
  { last, lagSeconds, isStalled }: { last: number; lagSeconds: number; isStalled: boolean },
): number {
  const isBehind = !isStalled && lagSeconds > (last < connections ? TAKE_BACK_SECONDS : GIVE_UP_SECONDS);
  return isBehind ? Math.max(1, connections - 1) : connections;
}
