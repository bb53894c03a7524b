/** Our consumer, as the field runs it: with its default settings and every feature. */
import { Child } from "../../stack/process/child.ts";
import { CLONE } from "../../stack/process/clone.ts";
import type { Stack } from "../../stack/mod.ts";
import { taskArguments } from "../../stack/worker_task.ts";
import type { Database } from "../../workers/_shared/postgres.ts";
import { type Contender, type Lab, type Run, withDatabase } from "./lab.ts";
import { type Following, timedRun } from "./timed_run.ts";

export const heartbeatConsumer: Contender = {
  name: "this consumer",
  run: (lab) => withDatabase(lab.stack, (database, url) => consumeAll(lab, database, url)),
};

/** @param name of its process's id on disk: two at once need two */
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
      // The group would remember the last run.
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
 * Runs one consumer until all of the log is stored on top of what is there, and the rollup has followed.
 *
 * @param onFollowed called before the tables are read as a whole
 * @throws Error when not all is there
 */
export async function consumeAll(
  lab: Lab,
  database: Database,
  url: string,
  onFollowed = () => {},
): Promise<Run> {
  const { stack, place, log } = lab;
  const { stored: there } = await readProgress(database);
  return await timedRun(lab, {
    start: () => startConsumer(stack, place.topic, url),
    look: async () => {
      const { stored, ...following } = await readProgress(database);
      return { begun: stored > there, rows: stored - there, ...following };
    },
    insist: () => {
      onFollowed();
      return insistOnAll(database, there + log.records);
    },
  });
}

export interface IngestProgress extends Following {
  /** Rows, as the ledger counts them. */
  readonly stored: number;
}

/** All 0 while there is no ledger. */
export async function readProgress(database: Database): Promise<IngestProgress> {
  const [{ there } = { there: false }] = await database.query<{ there: boolean }>(
    "select to_regclass('public.rollup_lag') is not null as there",
  );
  if (!there) return { stored: 0, behind: 0, lagSeconds: 0 };
  const [row] = await database.query<Record<"stored" | "behind" | "lag", string>>(
    `select coalesce((select sum(stored) from public.ingest_offsets), 0) as stored,
            coalesce(sum(offsets), 0) + (select count(cursor) from public.rollup) as behind,
            coalesce(max(lag_seconds), 0) as lag
       from public.rollup_lag`,
  );
  return { stored: Number(row?.stored), behind: Number(row?.behind), lagSeconds: Number(row?.lag) };
}

/** A fast run that lost something, or stored something twice, is no run. */
export async function insistOnAll(database: Database, records: number): Promise<void> {
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
    `the table has ${row?.rows} rows and the minutes ${row?.minutes} readings, expected ${records}; ` +
      `${row?.missed} customers have another latest reading than their rows`,
  );
}
