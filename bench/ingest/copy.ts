import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
// @ts-types="@types/pg-copy-streams"
import { from as copyFrom } from "pg-copy-streams";
import { MIGRATIONS } from "../../migrations/mod.ts";
import type { Database } from "../../workers/_shared/postgres.ts";
import { migrate } from "../../workers/consumer/schema/migrate.ts";
import { makePartitions } from "../lab/large_table.ts";
import { referenceTable } from "../peers/mod.ts";
import { type Contender, cpuTime, type Lab, type Run, spent, withDatabase } from "./lab.ts";

const READ_BYTES = 1024 * 1024;

/** The yardstick: COPY of a clean file, in the order of the timestamps, by one connection. */
export const copyIntoReference: Contender = {
  name: "\\copy into the reference table",
  run: (lab) =>
    copyFile(lab, "public.readings", async (database) => {
      await database.query(referenceTable("readings"));
    }),
};

export const copyIntoHeartbeats: Contender = {
  name: "\\copy into public.heartbeats",
  run: (lab) =>
    copyFile(lab, "public.heartbeats", async (database) => {
      await migrate(database, MIGRATIONS);
      await makePartitions(database, lab.log.range);
    }),
};

function copyFile(
  { stack, log, csvPath }: Lab,
  table: string,
  prepare: (database: Database) => Promise<void>,
): Promise<Run> {
  return withDatabase(stack, async (database) => {
    await prepare(database);
    const before = await cpuTime(stack);
    const began = performance.now();
    await database.transaction(async (session) => {
      const target = `${table} (customer_id, ts, heart_rate)`;
      await pipeline(
        createReadStream(csvPath, { highWaterMark: READ_BYTES }),
        session.query(copyFrom(`copy ${target} from stdin (format csv)`)),
      );
    });
    const rate = log.records / (performance.now() - began) * 1000;
    const cpu = spent(before, await cpuTime(stack));
    return { rowsPerSecond: rate, storedPerSecond: rate, lagSeconds: 0, cpu, peakMb: undefined };
  });
}
