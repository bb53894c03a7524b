/** When the rollup works: it takes its share of the database, and the ingest comes first. */

const MIN_PAUSE_MS = 250;
const MAX_PAUSE_MS = 10_000;
/** So many records that wait in Kafka are a backlog; less is under way at any moment. */
const BACKLOG_RECORDS = 50_000;

/**
 * The pause after a round. Larger rounds cost less, since the readings that a customer has in one of them are merged first:
 * while the ingest has a backlog, which it works off at full speed, rounds are fewer and larger.
 *
 * @param due records that wait for the ingest
 */
export function pauseMs(roundMs: number, due: number): number {
  const wanted = due < BACKLOG_RECORDS ? roundMs : Math.min(3 * roundMs, MAX_PAUSE_MS);
  return Math.max(MIN_PAUSE_MS, wanted);
}

/** The pause ends when no own commit came for so long: the ingest has nothing to do, so there is nothing to spare it. */
export const QUIET_MS = MIN_PAUSE_MS;

/** From 100,000 a minute on the ingest writes faster than the rollup follows; below 30 s the two are even. */
const NARROW_SECONDS = 60;
const WIDE_SECONDS = 30;

/**
 * Whether the ingest does with one connection fewer.
 *
 * @param lagSeconds age of the first change that waits, or of this consumer when that is less
 */
export function isNarrow(wasNarrow: boolean, lagSeconds: number, commitsRounds: boolean): boolean {
  return commitsRounds && lagSeconds > (wasNarrow ? WIDE_SECONDS : NARROW_SECONDS);
}
