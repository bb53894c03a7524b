/** Creates day partitions and removes old data, in small steps while the ingest runs. */
import { sleep } from "../../_shared/backoff.ts";
import type { PipelineError } from "../../_shared/errors.ts";
import { type Database, databaseFailure, type Row } from "../../_shared/postgres.ts";
import type { MonotonicClock } from "../health/health_state.ts";
import type { TwoClocks } from "../health/two_clocks.ts";
import { type DayPartitions, isLockConflictOrTimeout, isStatementTimeout } from "./day_partitions.ts";
import { FLOOR, type Floor } from "./floor.ts";

const INTERVAL_MS = 15_000;
/** The pause after a lock conflict or a timeout, because each attempt makes other sessions wait. */
const PAUSE_MS = 300_000;
/** From this number on, ensure_heartbeat_partition() creates months instead of days. */
const MANY_PARTITIONS = 730;
/** Uses the earlier of two clocks, because a clock that is ahead must not delete data too early. $1: this machine's time. $2: days. */
const OLDEST_KEPT = "least(now(), $1::timestamptz) - make_interval(days => $2)";
/** A small number, because the rollup cannot run a round during a deletion. */
const MINUTES_AT_A_TIME = 10_000;
/** A small number, because each reject may have megabytes. */
const REJECTS_AT_A_TIME = 100;
const EMPTYING_MS = 5_000;
/** Each round reads only some customers. An index on `ts` would find the old ones, but the rollup would have to update it. */
const CUSTOMERS_AT_A_TIME = 10_000;

export type RetentionOptions =
  & Readonly<Record<"retentionDays" | "minuteRetentionDays" | "rejectRetentionDays", number | undefined>>
  & { readonly signal: AbortSignal };

export interface RetentionPorts {
  readonly database: Database;
  readonly dayPartitions: DayPartitions;
  readonly clocks: TwoClocks;
  readonly floor: Floor;
  readonly telemetry: {
    readonly tablePartitionDropped: (partition: string) => void;
    readonly tablePartitionsMany: (partitions: number) => void;
    readonly upkeepDone: (task: string) => void;
    readonly upkeepFailed: (task: string, failure: PipelineError) => void;
  };
  readonly clock?: MonotonicClock;
}

export async function keepPartitions(ports: RetentionPorts, options: RetentionOptions): Promise<void> {
  const { signal } = options;
  const repeat = async (round: () => Promise<void>) => {
    while (!signal.aborted) {
      await round();
      await sleep(INTERVAL_MS, { signal });
    }
  };
  // Two loops: dropping old data can take hours, and the partition of the next day must not wait for it.
  await Promise.all([repeat(partitionRounds(ports)), repeat(retentionRounds(ports, options))]);
}

/** @returns a function that runs one round; it reports a failure and never rejects */
export function partitionRounds(ports: RetentionPorts): () => Promise<void> {
  const { database, dayPartitions, clocks, telemetry } = ports;
  let many = false;
  const run = async () => {
    const failure = await dayPartitions.makeAhead(clocks.database()) ?? await dayPartitions.emptyDefault();
    const [{ partitions } = { partitions: 0 }] = await database.query<{ partitions: number }>(
      "select count(*)::int as partitions from public.heartbeat_partitions('public.heartbeats')",
    );
    if (partitions >= MANY_PARTITIONS && !many) telemetry.tablePartitionsMany(partitions);
    many = partitions >= MANY_PARTITIONS;
    return failure;
  };
  return task(ports, { name: "partitions", action: "make partitions", pauseAfter: isStatementTimeout }, run);
}

/** @returns a function that runs one round; it reports the failure of a task, runs the other tasks, and never rejects */
export function retentionRounds(ports: RetentionPorts, options: RetentionOptions): () => Promise<void> {
  const { database, clocks, floor } = ports;
  const { retentionDays: readings, minuteRetentionDays, rejectRetentionDays, signal } = options;
  const tasks: (() => Promise<void>)[] = [];
  type Run = (database: Database, period: RetentionPeriod) => Promise<void>;
  const add = (name: string, action: string, days: number | undefined, run: Run) => {
    if (days === undefined) return;
    const period = () => ({ now: new Date(clocks.own()).toISOString(), days, signal });
    tasks.push(task(ports, { name, action }, () => run(database, period())));
  };
  const deleteOldRows = oldRowsDeletion();
  add("retention", "drop old readings", readings, async (_, period) => {
    await dropPartitions(ports, period);
    await deleteOldRows(database, period);
  });
  tasks.push(task(ports, { name: "floor", action: "read the floor" }, () => floor.ask(database)));
  add("retention of minutes", "delete old minutes", minuteRetentionDays, deleteMinutes);
  add("retention of rejects", "empty old rejects", rejectRetentionDays, emptyRejects);
  add("retention of latest readings", "delete old latest readings", readings, oldLatestDeletion());
  return async () => {
    for (const run of tasks) await run();
  };
}

type Task = { name: string; action: string; pauseAfter?: typeof isLockConflictOrTimeout };

/** @param run rejects with an error, or resolves with it */
function task(
  { database, telemetry, clock = () => performance.now() }: RetentionPorts,
  { name, action, pauseAfter = isLockConflictOrTimeout }: Task,
  run: () => Promise<unknown>,
): () => Promise<void> {
  let pausedUntil = -Infinity;
  return async () => {
    if (clock() < pausedUntil) return;
    const failure = await run().catch((error) => error);
    if (failure === undefined) return telemetry.upkeepDone(name);
    telemetry.upkeepFailed(name, databaseFailure(action, database.target, failure));
    if (pauseAfter(failure)) pausedUntil = clock() + PAUSE_MS;
  };
}

/** `now` is this machine's time, in ISO 8601. */
type RetentionPeriod = { readonly now: string; readonly days: number; readonly signal: AbortSignal };

async function dropPartitions(ports: RetentionPorts, { now, days, signal }: RetentionPeriod): Promise<void> {
  // The Grafana alert about partitions that should have been dropped reads this row.
  await ports.database.query(
    `insert into public.heartbeat_retention_bound as noted (before)
     values (date_trunc('day', ${OLDEST_KEPT}, 'UTC'))
         on conflict (only_row) do update set before = excluded.before where noted.before <> excluded.before`,
    [now, days],
  );
  let previous: string | null = null;
  while (!signal.aborted) {
    const [row]: { step: string | null }[] = await ports.database.query(
      `select public.drop_old_heartbeat_partition('public.heartbeats', ${OLDEST_KEPT}) as step`,
      [now, days],
    );
    const partition = row?.step ?? null;
    // Each call does one of the steps that drop a partition.
    if (previous !== null && partition !== previous) ports.telemetry.tablePartitionDropped(previous);
    if (partition === null) return;
    previous = partition;
  }
}

/** Deletes old readings from the default partition, and from partitions that also hold newer readings. */
function oldRowsDeletion(): (database: Database, period: RetentionPeriod) => Promise<void> {
  // For each partition, the bound below which it is empty. It stays empty, because the ingest rejects readings below the floor.
  const deletedTo = new Map<number, string>();
  return async (database, { now, days, signal }) => {
    const partitions = await database.query<{ partition: number; bound: string }>(
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
      if (deletedTo.get(partition) === bound) continue;
      for (let block: number | null = 0; block !== null;) {
        if (signal.aborted) return;
        const [row]: { next: number | null }[] = await database.query(
          `select public.delete_old_heartbeats($1::oid::regclass, $2::timestamptz, $3)::integer as next`,
          [partition, bound, block],
        );
        block = row?.next ?? null;
      }
      deletedTo.set(partition, bound);
    }
  };
}

/** Deletes only below the floor. Above the floor, a late reading would start a deleted minute again. */
export async function deleteMinutes(
  database: Database,
  { now, days, signal }: RetentionPeriod,
): Promise<void> {
  while (!signal.aborted) {
    const { rowCount } = await betweenRounds(
      database,
      `delete from public.heartbeats_1m
        where ctid in (
              select ctid
                from public.heartbeats_1m
               where minute < date_trunc('minute', least(${OLDEST_KEPT}, ${FLOOR}), 'UTC')
               limit ${MINUTES_AT_A_TIME})`,
      [now, days],
    );
    if (rowCount !== MINUTES_AT_A_TIME) return;
  }
}

export async function emptyRejects(database: Database, { now, days }: RetentionPeriod): Promise<void> {
  const endAt = performance.now() + EMPTYING_MS;
  while (performance.now() < endAt) {
    const emptied = await database.query(
      `with old as materialized (
         select ledger_id, kafka_offset
           from public.heartbeat_rejects
          where emptied_at is null and rejected_at < ${OLDEST_KEPT}
          order by rejected_at
          limit ${REJECTS_AT_A_TIME}
            for update skip locked
       )
       update public.heartbeat_rejects as reject
          set key = null, payload = null, detail = '', emptied_at = now()
         from old
        where reject.ledger_id = old.ledger_id and reject.kafka_offset = old.kafka_offset
    returning 1`,
      [now, days],
    );
    if (emptied.length < REJECTS_AT_A_TIME) return;
  }
}

/** Deletes only below the floor. Above the floor, the reading may still be in public.heartbeats, and both tables must agree. */
export function oldLatestDeletion(): (database: Database) => Promise<void> {
  let last = "";
  return async (database) => {
    const { rows: [row] } = await betweenRounds<{ seen: number; last: string | null }>(
      database,
      `with seen as materialized (
         select ctid, customer_id, ts
           from public.customer_latest
          where customer_id > $1
          order by customer_id
          limit ${CUSTOMERS_AT_A_TIME}
       ), deleted as (
         delete from public.customer_latest where ctid = any(array(select ctid from seen where ts < ${FLOOR}))
       )
       select count(*)::integer as seen, max(customer_id) as last from seen`,
      [last],
    );
    last = row?.seen === CUSTOMERS_AT_A_TIME ? row.last ?? "" : "";
  };
}

/** Runs a statement while no round of the rollup runs, because a round changes the same rows. Meanwhile the rollup skips rounds. */
async function betweenRounds<R extends Row>(
  { transaction }: Database,
  sql: string,
  parameters: readonly unknown[],
) {
  return await transaction(
    (session) => session.query<R>(sql, [...parameters]),
    "select from public.rollup for update",
  );
}
