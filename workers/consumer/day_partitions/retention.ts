/** Keeps tomorrow's partition made and what is too old dropped, beside the ingest and never in its way. */
import { sleep } from "../../_shared/backoff.ts";
import { type Database, databaseFailure } from "../../_shared/postgres.ts";
import { type DayPartitions, holdsUp, isTooSlow } from "./day_partitions.ts";
import type { Floor } from "./floor.ts";
import {
  deleteMinutes,
  dropPartitions,
  emptyRejects,
  type Kept,
  noteBound,
  oldLatestDeletion,
  oldRowsDeletion,
} from "./old_rows.ts";
import type { MonotonicClock, Progress } from "../health/progress.ts";
import type { TwoClocks } from "../health/two_clocks.ts";

const INTERVAL_MS = 15_000;
/**
 * For so long after a lock that could not be had nothing is dropped: a dump takes its time, and each try makes whoever
 * reads or writes wait behind it. The same after a statement that took too long: it holds locks all that time.
 */
const PAUSE_MS = 300_000;
/** A task that has not succeeded for so long needs somebody's help: the consumer is not ready until it does. */
const FAILING_MS = 3_600_000;
/** From here on migration 0010 makes months in place of days. */
const MANY_PARTITIONS = 730;

export interface RetentionOptions {
  /** Undefined keeps everything. */
  readonly retentionDays: number | undefined;
  readonly minuteRetentionDays: number | undefined;
  /** Undefined keeps the bytes of rejects. */
  readonly rejectRetentionDays: number | undefined;
  readonly signal: AbortSignal;
}

export interface RetentionPorts {
  readonly database: Database;
  readonly dayPartitions: DayPartitions;
  readonly clocks: TwoClocks;
  readonly floor: Floor;
  readonly progress: Pick<Progress, "ready" | "notReady">;
  readonly telemetry: {
    readonly onDropped: (partition: string) => void;
    readonly partitionsMany: (partitions: number) => void;
    readonly retentionFailed: (error: unknown, action: string) => void;
  };
}

/** Runs until `signal` aborts. What fails is tried again at the next round. */
export async function keepPartitions(ports: RetentionPorts, options: RetentionOptions): Promise<void> {
  const { signal } = options;
  const repeat = async (round: () => Promise<void>) => {
    while (!signal.aborted) {
      await round();
      await sleep(INTERVAL_MS, { signal });
    }
  };
  // Apart: dropping what is old may take hours, and tomorrow's partition must not wait for it.
  await Promise.all([repeat(partitionRounds(ports)), repeat(retentionRounds(ports, options))]);
}

/** @returns one round, which never rejects: it makes the partitions that are needed, and tells what it could not make */
export function partitionRounds(
  ports: RetentionPorts,
  clock: MonotonicClock = () => performance.now(),
): () => Promise<void> {
  const { database, dayPartitions, clocks, telemetry } = ports;
  let many = false;
  const run = async () => {
    const failure = await dayPartitions.makeAhead(clocks.database()) ?? await dayPartitions.emptyDefault();
    const [row] = await database.query<{ partitions: number }>(
      "select count(*)::int as partitions from public.heartbeat_partitions('public.heartbeats')",
    );
    const { partitions = 0 } = row ?? {};
    if (partitions >= MANY_PARTITIONS && !many) telemetry.partitionsMany(partitions);
    many = partitions >= MANY_PARTITIONS;
    return failure;
  };
  return task(ports, clock, { name: "partitions", action: "make partitions", pauseAfter: isTooSlow }, run);
}

/** By the name in readiness; the action completes "Cannot". Without the days that it keeps it is not done. */
type Upkeep = readonly [
  name: string,
  action: string,
  days: number | undefined,
  run: (database: Database, kept: Kept) => Promise<void>,
];

/** @returns one round, which never rejects: what fails is told, and does not keep the rest from being done */
export function retentionRounds(
  ports: RetentionPorts,
  options: RetentionOptions,
  clock: MonotonicClock = () => performance.now(),
): () => Promise<void> {
  const { database, clocks, floor, telemetry } = ports;
  const deleteOldRows = oldRowsDeletion();
  const dropOld = async (_: Database, kept: Kept) => {
    await noteBound(database, kept);
    await dropPartitions(database, kept, telemetry.onDropped);
    await deleteOldRows(database, kept);
  };
  const readFloor = () => floor.ask(database);
  const readings = options.retentionDays;
  const all: readonly Upkeep[] = [
    ["retention", "drop old readings", readings, dropOld],
    ["floor", "read the floor", 0, readFloor],
    ["retention of minutes", "delete old minutes", options.minuteRetentionDays, deleteMinutes],
    ["retention of rejects", "empty old rejects", options.rejectRetentionDays, emptyRejects],
    ["retention of latest readings", "delete old latest readings", readings, oldLatestDeletion()],
  ];
  const tasks = all.flatMap(([name, action, days, run]) => {
    if (days === undefined) return [];
    const kept = () => ({ now: new Date(clocks.own()).toISOString(), days, signal: options.signal });
    return [task(ports, clock, { name, action }, () => run(database, kept()))];
  });
  return async () => {
    for (const run of tasks) await run();
  };
}

/**
 * @param of its name in readiness; its action, which completes "Cannot"; what it pauses after, if not whatever holds up
 * @param run rejects, or resolves with an error that it has already reported
 */
function task(
  { database, progress, telemetry }: RetentionPorts,
  clock: MonotonicClock,
  of: { name: string; action: string; pauseAfter?: (error: unknown) => boolean },
  run: () => Promise<unknown>,
): () => Promise<void> {
  const { name, action, pauseAfter = holdsUp } = of;
  let failingSince: number | undefined;
  let pausedUntil = -Infinity;
  return async () => {
    if (clock() < pausedUntil) return;
    const failure = await run().catch((error) => {
      telemetry.retentionFailed(error, action);
      return error;
    });
    if (failure === undefined) {
      failingSince = undefined;
      return progress.ready(name);
    }
    failingSince ??= clock();
    if (pauseAfter(failure)) pausedUntil = clock() + PAUSE_MS;
    const failingMs = clock() - failingSince;
    if (failingMs < FAILING_MS) return;
    const { message } = databaseFailure(action, database.target, failure);
    progress.notReady(name, `failing for ${Math.floor(failingMs / 60_000)} minutes: ${message}`);
  };
}
