/** Keeps tomorrow's partition made and what is too old dropped, beside the ingest and never in its way. */
import { sleep } from "../../_shared/backoff.ts";
import { type Database, databaseFailure } from "../../_shared/postgres.ts";
import { type DayPartitions, holdsUp, isTooSlow } from "./day_partitions.ts";
import { deleteMinutes } from "./delete_minutes.ts";
import type { Floor } from "./floor.ts";
import { emptyRejects, OldLatest } from "./forget_old.ts";
import { OLDEST_KEPT } from "./oldest_kept.ts";
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
export async function keepPartitions(
  ports: RetentionPorts,
  options: RetentionOptions & { readonly signal: AbortSignal },
): Promise<void> {
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
  return task(
    ports,
    clock,
    { name: "partitions", action: "make partitions", pauseAfter: isTooSlow },
    async () => {
      const failure = await dayPartitions.makeAhead(clocks.database()) ?? await dayPartitions.emptyDefault();
      const [row] = await database.query<{ partitions: number }>(
        "select count(*)::int as partitions from public.heartbeat_partitions('public.heartbeats')",
      );
      const { partitions = 0 } = row ?? {};
      if (partitions >= MANY_PARTITIONS && !many) telemetry.partitionsMany(partitions);
      many = partitions >= MANY_PARTITIONS;
      return failure;
    },
  );
}

/** @returns one round, which never rejects: what fails is told, and does not keep the rest from being done */
export function retentionRounds(
  ports: RetentionPorts,
  { retentionDays, minuteRetentionDays, rejectRetentionDays, signal }: RetentionOptions & {
    readonly signal: AbortSignal;
  },
  clock: MonotonicClock = () => performance.now(),
): () => Promise<void> {
  const { database, clocks } = ports;
  const rows = new OldRows(database);
  const tasks: (() => Promise<void>)[] = [];
  const kept = (days: number) => ({ now: new Date(clocks.own()).toISOString(), days, signal });
  if (retentionDays !== undefined) {
    const of = { name: "retention", action: "drop old readings" };
    tasks.push(task(ports, clock, of, async () => {
      await noteBound(database, kept(retentionDays));
      await dropPartitions(database, kept(retentionDays), ports.telemetry.onDropped);
      await rows.delete(kept(retentionDays));
    }));
  }
  const floor = { name: "floor", action: "read the floor" };
  tasks.push(task(ports, clock, floor, () => ports.floor.ask(database)));
  if (minuteRetentionDays !== undefined) {
    const of = { name: "retention of minutes", action: "delete old minutes" };
    tasks.push(task(ports, clock, of, () => deleteMinutes(database, kept(minuteRetentionDays))));
  }
  if (rejectRetentionDays !== undefined) {
    const of = { name: "retention of rejects", action: "empty old rejects" };
    tasks.push(task(ports, clock, of, () => emptyRejects(database, kept(rejectRetentionDays), clock)));
  }
  if (retentionDays !== undefined) {
    const latest = new OldLatest(database);
    const of = { name: "retention of latest readings", action: "delete old latest readings" };
    tasks.push(task(ports, clock, of, () => latest.delete()));
  }
  return async () => {
    for (const run of tasks) await run();
  };
}

interface Task {
  /** In readiness. */
  readonly name: string;
  /** Completes "Cannot". */
  readonly action: string;
  /** Unless it is given, after whatever would hold others up. */
  readonly pauseAfter?: (error: unknown) => boolean;
}

/** @param run rejects, or resolves with an error that it has already reported */
function task(
  { database, progress, telemetry }: RetentionPorts,
  clock: MonotonicClock,
  { name, action, pauseAfter = holdsUp }: Task,
  run: () => Promise<unknown>,
): () => Promise<void> {
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

interface Kept {
  /** By our clock. */
  readonly now: string;
  readonly days: number;
  readonly signal: AbortSignal;
}

/** Stores the retention bound, so that the Grafana alert can see overdue partitions without asking a consumer. */
async function noteBound(database: Database, { now, days }: Kept): Promise<void> {
  await database.query(
    `insert into public.heartbeat_retention_bound as noted (before)
     values (date_trunc('day', ${OLDEST_KEPT}, 'UTC'))
         on conflict (only_row) do update set before = excluded.before where noted.before <> excluded.before`,
    [now, days],
  );
}

/** Partitions that lie before the oldest reading that is still accepted, as a whole. */
async function dropPartitions(
  database: Database,
  { now, days, signal }: Kept,
  onDropped: (partition: string) => void,
): Promise<void> {
  let last: string | null = null;
  while (!signal.aborted) {
    const [row]: { step: string | null }[] = await database.query<{ step: string | null }>(
      `select public.drop_old_heartbeat_partition('public.heartbeats', ${OLDEST_KEPT}) as step`,
      [now, days],
    );
    const step = row?.step ?? null;
    // A partition takes several steps.
    if (last !== null && step !== last) onDropped(last);
    if (step === null) return;
    last = step;
  }
}

/** Deletes old rows from the default partition, and from partitions that also hold newer rows. */
class OldRows {
  readonly #database: Database;
  /** Up to where they are deleted, by partition: older readings are not accepted any more. */
  readonly #deletedTo = new Map<number, string>();

  constructor(database: Database) {
    this.#database = database;
  }

  async delete({ now, days, signal }: Kept): Promise<void> {
    const partitions = await this.#database.query<{ partition: number; bound: string }>(
      `select partition, bound::text
         from (select date_trunc('day', ${OLDEST_KEPT}, 'UTC') as bound) old,
      lateral (select partition::oid
                 from public.heartbeat_partitions('public.heartbeats')
                where lower_bound < bound and upper_bound > bound and lower_bound < upper_bound - interval '1 day'
                union all
               select partdefid from pg_partitioned_table where partrelid = 'public.heartbeats'::regclass and partdefid <> 0
              ) one`,
      [now, days],
    );
    for (const { partition, bound } of partitions) {
      if (this.#deletedTo.get(partition) === bound) continue;
      for (let block: number | null = 0; block !== null;) {
        if (signal.aborted) return;
        const [row]: { next: number | null }[] = await this.#database.query<{ next: number | null }>(
          `select public.delete_old_heartbeats($1::oid::regclass, $2::timestamptz, $3)::integer as next`,
          [partition, bound, block],
        );
        block = row?.next ?? null;
      }
      this.#deletedTo.set(partition, bound);
    }
  }
}
