/** Our consumer, as the field runs it: with its default settings and every feature. */
import { Child } from "../../stack/process/child.ts";
import { CLONE } from "../../stack/process/clone.ts";
import type { Stack } from "../../stack/mod.ts";
import { taskArguments } from "../../stack/worker_task.ts";
import type { Database } from "../../workers/_shared/postgres.ts";
import { type Contender, type Lab, type Run, withDatabase } from "./lab.ts";
import { timedRun } from "./timed_run.ts";

export const heartbeatConsumer: Contender = {
  name: "this consumer",
  run: (lab) => withDatabase(lab.stack, (database, url) => consumeAll(lab, database, url)),
};

/** What the consumer is started with beyond its defaults. */
export type Env = Readonly<Record<string, string>>;

/** @param name of its process's id on disk: two at once need two */
export function startConsumer(
  stack: Stack,
  topic: string,
  databaseUrl: string,
  { name = "consumer", env = {} }: { name?: string; env?: Env } = {},
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
      ...env,
    },
    pidFile: stack.pidFile(name),
    stopSignal: "SIGTERM",
    onLine: () => {},
  });
}

/** Runs one consumer until it has stored all of the log on top of what is there. @throws Error when not all is there */
export async function consumeAll(lab: Lab, database: Database, url: string, env: Env = {}): Promise<Run> {
  const { stack, place, log } = lab;
  const there = await storedRows(database);
  return await timedRun(lab, {
    start: () => startConsumer(stack, place.topic, url, { env }),
    look: async () => {
      const rows = await storedRows(database) - there;
      return { begun: rows > 0, rows, all: rows >= log.records };
    },
    insist: () => insistOnAll(database, there + log.records),
  });
}

/** As the ledger counts them; 0 while there is no ledger. */
export async function storedRows(database: Database): Promise<number> {
  const [{ there } = { there: false }] = await database.query<{ there: boolean }>(
    "select to_regclass('public.ingest_offsets') is not null as there",
  );
  if (!there) return 0;
  const [row] = await database.query<{ stored: string }>(
    "select coalesce(sum(stored), 0) as stored from public.ingest_offsets",
  );
  return Number(row?.stored);
}

/** A fast run that lost something, or stored something twice, is no run. */
export async function insistOnAll(database: Database, records: number): Promise<void> {
  const [row] = await database.query<Record<"rows" | "minutes", string>>(
    `select (select count(*) from public.heartbeats) as rows,
            (select sum(readings) from public.heartbeats_1m) as minutes`,
  );
  if (Number(row?.rows) === records && Number(row?.minutes) === records) return;
  throw new Error(
    `the table has ${row?.rows} rows and the minutes ${row?.minutes} readings, expected ${records}`,
  );
}
