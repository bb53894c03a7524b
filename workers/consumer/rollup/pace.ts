/** Decides when the rollup works, and when the ingest makes room for it: docs/decisions/0024-change-feed-and-rollup.md. */

export const MIN_PAUSE_MS = 250;
export const MAX_PAUSE_MS = 8_000;
/** More records than are in flight without a backlog. */
const BACKLOG_RECORDS = 50_000;

/**
 * The cost of a round depends on its customers and minutes, hardly on its readings. So with a backlog, few large rounds are best.
 * If the ingest gave up a connection for the rollup, the rollup hardly pauses. Otherwise it would fall behind without limit.
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

/** Target duration of one step of a rebuild. During a step, no day partition can be created or dropped. */
const REBUILD_STEP_MS = 400;
export const MIN_REBUILD_ROWS = 5_000;
const MAX_REBUILD_ROWS = 50_000;

export function nextRebuildRows(rows: number, ms: number): number {
  return Math.min(
    Math.max(MIN_REBUILD_ROWS, Math.ceil(rows * Math.min(2, REBUILD_STEP_MS / ms))),
    MAX_REBUILD_ROWS,
  );
}

/** Lags at which the ingest gives up a connection and takes it back. With one limit for both, it would do so at each round. */
const GIVE_UP_SECONDS = 60;
const TAKE_BACK_SECONDS = 30;

/** The ingest keeps its connections while the rollup is stalled, because the rollup could not use one. */
export function ingestConnections(
  connections: number,
  { last, lagSeconds, isStalled }: { last: number; lagSeconds: number; isStalled: boolean },
): number {
  const isBehind = !isStalled && lagSeconds > (last < connections ? TAKE_BACK_SECONDS : GIVE_UP_SECONDS);
  return isBehind ? Math.max(1, connections - 1) : connections;
}
