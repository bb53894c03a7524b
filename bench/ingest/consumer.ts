import { Child } from "../../stack/process/child.ts";
import { CLONE } from "../../stack/process/clone.ts";
import type { Stack } from "../../stack/mod.ts";
import { taskArguments } from "../../stack/worker_task.ts";
import type { Database } from "../../workers/_shared/postgres.ts";
import { type Contender, type Lab, type Run, withDatabase } from "./lab.ts";
import { type RollupProgress, timedRun } from "./timed_run.ts";

/** The consumer with its default settings and all features. */
export const heartbeatConsumer: Contender = {
  name: "this consumer",
  run: (lab) => withDatabase(lab.stack, (database, url) => consumeAll(lab, database, url)),
};

/** @param name unique among the running consumers, because the name of the pid file contains it */
export function startConsumer(
  stack: Stack,
  topic: string,
  databaseUrl: string,
  name = "consumer",
): Child {
  return new Child({
    command: Deno.execPath(),
    args: taskArguments("consumer"),
    cwd: CLONE,
    env: {
      KAFKA_BOOTSTRAP_SERVERS: stack.kafkaBootstrapServers,
      KAFKA_TOPIC: topic,
      // Each run has a new database name and therefore a new group, so no run depends on an earlier one.
      KAFKA_GROUP_ID: new URL(databaseUrl).pathname.slice(1),
      DATABASE_URL: databaseUrl,
      NO_COLOR: "1",
    },
    pidFile: stack.pidFile(name),
    stopSignal: "SIGTERM",
    onLine: () => {},
  });
}

/**
 * Runs one consumer until the log is stored and rolled up.
 * @param onCaughtUp runs when the rollup has caught up, before the slow count of all rows
 */
export async function consumeAll(
  lab: Lab,
  database: Database,
  url: string,
  onCaughtUp = () => {},
): Promise<Run> {
  const { stack, place, log } = lab;
  const { stored: alreadyStored } = await readProgress(database);
  return await timedRun(lab, {
    start: () => startConsumer(stack, place.topic, url),
    readStored: async () => {
      const { stored, ...following } = await readProgress(database);
      return { begun: stored > alreadyStored, rows: stored - alreadyStored, ...following };
    },
    assertComplete: () => {
      onCaughtUp();
      return assertAllStored(database, alreadyStored + log.records);
    },
  });
}

export interface IngestProgress extends RollupProgress {
  readonly stored: number;
}

/** All 0 until the consumer has created the ledger. A rebuild counts as one offset behind, so `behind` is 0 only after it. */
export async function readProgress(database: Database): Promise<IngestProgress> {
  const [{ migrated } = { migrated: false }] = await database.query<{ migrated: boolean }>(
    "select to_regclass('public.rollup_lag') is not null as migrated",
  );
  if (!migrated) return { stored: 0, behind: 0, lagSeconds: 0 };
  const [row] = await database.query<Record<"stored" | "behind" | "lag", string>>(
    `select coalesce((select sum(stored) from public.ingest_offsets), 0) as stored,
            coalesce(sum(offsets), 0) + (select count(cursor) from public.rollup) as behind,
            coalesce(max(lag_seconds), 0) as lag
       from public.rollup_lag`,
  );
  return { stored: Number(row?.stored), behind: Number(row?.behind), lagSeconds: Number(row?.lag) };
}

/** @throws Error if readings are missing or stored twice, because such a run must not count */
export async function assertAllStored(database: Database, records: number): Promise<void> {
  const [row] = await database.query<Record<"rows" | "minutes" | "missed", string>>(
    `select (select count(*) from public.heartbeats) as rows,
            (select sum(readings) from public.heartbeats_1m) as minutes,
            (select count(*)
               from (select customer_id, max(ts) from public.heartbeats group by customer_id
                     except
                     select customer_id, ts from public.customer_latest) missed) as missed`,
  );
  if (Number(row?.rows) === records && Number(row?.minutes) === records && Number(row?.missed) === 0) return;
  throw new Error(
    `the table has ${row?.rows} rows and the minute aggregates count ${row?.minutes} readings, expected ${records}; ` +
      `${row?.missed} customers have a latest reading that differs from their rows`,
  );
}
