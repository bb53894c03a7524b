/** Keeps tomorrow's partition made and what is too old dropped, beside the ingest and never in its way. */
import { sleep } from "../_shared/backoff.ts";
import type { Database } from "../_shared/postgres.ts";
import { type DayPartitions, isLostRace } from "./day_partitions.ts";
import { forgetOld } from "./forget_old.ts";
import { OLDEST_KEPT } from "./oldest_kept.ts";
import type { MonotonicClock } from "./progress.ts";
import type { TwoClocks } from "./two_clocks.ts";

const INTERVAL_MS = 15_000;
/**
 * For so long after a lock that could not be had nothing is dropped: a dump takes its time, and each try makes whoever
 * reads or writes wait behind it.
 */
const DROP_PAUSE_MS = 300_000;
/** Rows of public.heartbeats_1m that are deleted at a time, so that no lock is held for long. */
const MINUTES_AT_A_TIME = 10_000;

export interface RetentionOptions {
  /** Undefined keeps everything. */
  readonly retentionDays: number | undefined;
  readonly minuteRetentionDays: number | undefined;
  /** Undefined keeps the bytes of rejects. */
  readonly rejectRetentionDays: number | undefined;
}

export interface RetentionPorts {
  readonly database: Database;
  readonly dayPartitions: DayPartitions;
  readonly clocks: TwoClocks;
  readonly telemetry: {
    readonly onDropped: (partition: string) => void;
    readonly retentionFailed: (error: unknown) => void;
  };
}

/** Runs until `signal` aborts. What fails is tried again at the next round. */
export async function keepPartitions(
  ports: RetentionPorts,
  { signal, ...options }: RetentionOptions & { readonly signal: AbortSignal },
): Promise<void> {
  const round = retentionRounds(ports, options);
  while (!signal.aborted) {
    await round();
    await sleep(INTERVAL_MS, { signal });
  }
}

/** @returns one round, which never rejects: what fails is told, and does not keep the rest from being done */
export function retentionRounds(
  { database, dayPartitions, clocks, telemetry }: RetentionPorts,
  { retentionDays, minuteRetentionDays, rejectRetentionDays }: RetentionOptions,
  clock: MonotonicClock = () => performance.now(),
): () => Promise<void> {
  let dropAt = -Infinity;
  const forget = forgetOld(database, { retentionDays, rejectRetentionDays }, telemetry.retentionFailed);
  const drop = async (now: string) => {
    if (retentionDays === undefined || clock() < dropAt) return;
    try {
      await dropDays(database, now, retentionDays, telemetry.onDropped);
    } catch (error) {
      if (isLostRace(error)) dropAt = clock() + DROP_PAUSE_MS;
      telemetry.retentionFailed(error);
    }
  };
  return async () => {
    try {
      await dayPartitions.makeAhead(clocks.database());
      await dayPartitions.retryFailed();
      const now = new Date(clocks.own()).toISOString();
      await drop(now);
      await forget(now);
      if (minuteRetentionDays !== undefined) await deleteMinutes(database, now, minuteRetentionDays);
    } catch (error) {
      telemetry.retentionFailed(error);
    }
  };
}

/** Partitions that lie before the oldest reading that is still accepted, as a whole. */
async function dropDays(
  database: Database,
  now: string,
  days: number,
  onDropped: (partition: string) => void,
): Promise<void> {
  for (;;) {
    const [row] = await database.query<{ dropped: string | null }>(
      `select public.drop_old_heartbeat_partition('public.heartbeats', ${OLDEST_KEPT}) as dropped`,
      [now, days],
    );
    if (typeof row?.dropped !== "string") return;
    onDropped(row.dropped);
  }
}

async function deleteMinutes(database: Database, now: string, days: number): Promise<void> {
  for (;;) {
    const deleted = await database.query(
      `delete from public.heartbeats_1m
        where ctid in (select ctid from public.heartbeats_1m where minute < ${OLDEST_KEPT} limit ${MINUTES_AT_A_TIME})
    returning 1`,
      [now, days],
    );
    if (deleted.length < MINUTES_AT_A_TIME) return;
  }
}
