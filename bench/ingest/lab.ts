import { join } from "node:path";
import type { Stack } from "../../stack/mod.ts";
import { sayProgress as say } from "../../stack/output.ts";
import { createPlace, type Place } from "../../lab/place.ts";
import type { Resources } from "../../workers/_shared/lifecycle.ts";
import { type Database, openDatabase } from "../../workers/_shared/postgres.ts";
import { cpuSeconds } from "../lab/cpu_time.ts";
import { PreparedLog } from "../lab/prepared_log.ts";
import { openSender } from "../lab/readings_batch.ts";
import { type Shape, titleOf } from "../lab/shapes.ts";

const HOUR_MS = 3_600_000;
/** Long enough for counting a large table, which takes minutes. */
export const NO_LIMITS = {
  statementMs: HOUR_MS,
  lockMs: HOUR_MS,
  idleInTransactionMs: HOUR_MS,
  transactionMs: HOUR_MS,
};

export interface Lab {
  readonly stack: Stack;
  /** Has the topic. Its database stays empty, because each run uses a new database. */
  readonly place: Place;
  readonly log: PreparedLog;
  readonly csvPath: string;
}

export interface LogOptions extends Partial<Shape> {
  readonly records: number;
  readonly partitions: number;
  /** The log ends before this instant, in milliseconds since the Unix epoch. Default: now. */
  readonly endMs?: number;
  readonly resources: Resources;
}

export async function publishLog(
  stack: Stack,
  { resources, customers = 1_000, intervalSeconds = 5, endMs = Date.now(), ...size }: LogOptions,
): Promise<Omit<Lab, "csvPath">> {
  const { records, partitions } = size;
  const place = resources.use("topic", await createPlace(stack, "bench", { partitions }));
  const log = new PreparedLog({ records, partitions, customers, intervalSeconds, endMs });
  say(
    `Publishing ${records} records of ${titleOf({ customers, intervalSeconds })} to ${partitions} partitions`,
  );
  await using sender = openSender(stack.kafkaBootstrapServers, place.topic);
  await log.publish(sender);
  return { stack, place, log };
}

export async function prepare(stack: Stack, options: LogOptions): Promise<Lab> {
  const { place, log } = await publishLog(stack, options);
  const csvPath = join(stack.home, `${place.topic}.csv`);
  await log.writeCsv(csvPath);
  return { stack, place, log, csvPath };
}

export async function withDatabase<T>(
  stack: Stack,
  work: (database: Database, url: string) => Promise<T>,
): Promise<T> {
  await using admin = openDatabase(stack.superuserUrl, { connections: 1, limits: NO_LIMITS, name: "bench" });
  const name = `run_${crypto.randomUUID().replaceAll("-", "")}`;
  await admin.query(`create database ${name} owner heartbeat_user`);
  try {
    const url = new URL(stack.databaseUrl);
    url.pathname = `/${name}`;
    await using database = openDatabase(url.href, { connections: 2, limits: NO_LIMITS, name: "bench" });
    // Without a checkpoint, the server would still write the changes of the previous run during this one.
    await admin.query("checkpoint");
    return await work(database, url.href);
  } finally {
    await admin.query(`drop database ${name} with (force)`);
  }
}

/** CPU seconds. */
export interface CpuTime {
  readonly worker: number;
  readonly postgres: number;
  readonly kafka: number;
}

export async function cpuTime(stack: Stack, worker?: number): Promise<CpuTime> {
  const [own, postgres, kafka] = await Promise.all([
    worker === undefined ? 0 : cpuSeconds(worker),
    cpuSeconds(stack.postgres.pid),
    cpuSeconds(stack.kafka.pid),
  ]);
  return { worker: own, postgres, kafka };
}

export interface Run {
  /** From the first time that rows were seen until the rollup had processed the last row. */
  readonly rowsPerSecond: number;
  /** From the first time that rows were seen until the last row was stored. */
  readonly storedPerSecond: number;
  /** Maximum lag of the rollup. 0 without a rollup. */
  readonly lagSeconds: number;
  readonly cpu: CpuTime;
  /** Peak resident memory of the worker. */
  readonly peakMb: number | undefined;
}

export interface Contender {
  readonly name: string;
  readonly run: (lab: Lab) => Promise<Run>;
}

export function spent(before: CpuTime, after: CpuTime): CpuTime {
  return {
    worker: after.worker - before.worker,
    postgres: after.postgres - before.postgres,
    kafka: after.kafka - before.kafka,
  };
}
