import { Command } from "commander";
import type { Stack } from "../../stack/mod.ts";
import { sayProgress as say } from "../../stack/output.ts";
import { MIGRATIONS } from "../../migrations/mod.ts";
import { integer, parseSettings } from "../../workers/_shared/env.ts";
import { runWorker } from "../../workers/_shared/lifecycle.ts";
import type { Database } from "../../workers/_shared/postgres.ts";
import { migrate } from "../../workers/consumer/schema/migrate.ts";
import { consumeAll } from "../ingest/consumer.ts";
import { type Lab, type LogOptions, prepare, withDatabase } from "../ingest/lab.ts";
import { fillTable } from "../lab/large_table.ts";
import { type NamedQuery, userQueries } from "../lab/user_queries.ts";
import { startServers } from "../lab/servers.ts";
import { addShapeOptions, type Shape, SHAPE_FLAGS, shapesOf } from "../lab/shapes.ts";
import { type Measured, type QueryTimes, report } from "./report.ts";

const PARTITIONS = 6;
const QUIET_ROUNDS = 5;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

type Trial = LogOptions & Shape & {
  readonly runs: number;
  readonly rows: number;
  readonly signal: AbortSignal;
};

await runWorker(async ({ args, signal, resources }) => {
  const flags = parseFlags(args);
  const stack = await startServers({ signal, resources });
  for (const shape of shapesOf(flags)) {
    const measured = await measure(stack, { ...flags, ...shape, partitions: PARTITIONS, signal, resources });
    await report(flags, shape, measured);
  }
});

async function measure(
  stack: Stack,
  { runs, rows, signal, ...options }: Trial,
): Promise<Measured> {
  const { records, customers, intervalSeconds } = options;
  const logMs = (Math.ceil(records / customers) + 1) * intervalSeconds * 1000;
  // 06:00 UTC of a past day. Then the last log is in the day partition that the queries read, and not in the future.
  const nowMs = Math.floor((Date.now() - logMs) / DAY_MS) * DAY_MS - 18 * HOUR_MS;
  // Each run has one log. They are in the order of time. The queries during ingest need one more log.
  const labs: Lab[] = [];
  for (let run = 0; run <= runs; run++) {
    labs.push(await prepare(stack, { ...options, endMs: nowMs + (run + 1 - runs) * logMs }));
  }
  const last = labs.pop();
  const [first] = labs;
  if (first === undefined || last === undefined) throw new TypeError("at least one run was expected");
  return await withDatabase(stack, async (full, url) => {
    await migrate(full, MIGRATIONS);
    say(`Filling a table with ${rows} rows`);
    await fillTable(full, { rows, customers, endMs: first.log.range[0] });
    const rates = { empty: [] as number[], full: [] as number[] };
    for (const lab of labs) {
      signal.throwIfAborted();
      const empty = await withDatabase(stack, (database, url) => consumeAll(lab, database, url));
      rates.empty.push(empty.rowsPerSecond);
      rates.full.push((await consumeAll(lab, full, url)).rowsPerSecond);
      say(`rows/s into the empty table: ${rates.empty.at(-1)}; into the full table: ${rates.full.at(-1)}`);
    }
    const queries = await userQueries(new Date(nowMs));
    const quiet = await timeQueries(full, queries, (round) => round < QUIET_ROUNDS);
    let going = true;
    const end = () => going = false;
    const ingest = consumeAll(last, full, url, end);
    ingest.catch(end);
    const busy = await timeQueries(full, queries, () => going);
    await ingest;
    return { rates, queries, quiet, busy };
  });
}

function parseFlags(args: readonly string[]) {
  const options = new Command("bench:flat")
    .description(
      "Measures the ingest into an empty and into a full table, and queries without and during ingest.",
    )
    .option("--rows <n>", "number of rows of the full table, spread over 30 days", "50000000")
    .option("--records <n>", "number of records that each run ingests", "5000000")
    .option("--runs <n>", "number of runs into each table", "3");
  const command = addShapeOptions(options, "a report", "5")
    .addHelpText("after", "\nExample:\n  deno task bench:flat --rows 5000000 --runs 1 --customers 1000")
    .exitOverride();
  const settings = {
    ...SHAPE_FLAGS,
    rows: integer({ min: 1_000, max: 1_000_000_000, unit: "rows" }),
    records: integer({ min: 1_000, max: 100_000_000, unit: "records" }),
    runs: integer({ min: 1, max: 20, unit: "runs" }),
  };
  const values = command.parse([...args], { from: "user" }).opts();
  return parseSettings("bench:flat", settings, values, { label: (name) => `--${name}` });
}

/** Milliseconds of each query at the client. The first run of a query does not count, because nothing is cached yet. */
async function timeQueries(
  database: Database,
  queries: readonly NamedQuery[],
  mayContinue: (round: number) => boolean,
): Promise<QueryTimes> {
  const times = new Map<string, number[]>(queries.map(({ name }) => [name, []]));
  for (let round = 0; mayContinue(round); round++) {
    for (const { name, sql } of queries) {
      if (!mayContinue(round)) break;
      const began = performance.now();
      await database.query(sql);
      if (round > 0) times.get(name)?.push(performance.now() - began);
    }
  }
  return times;
}
