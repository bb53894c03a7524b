/**
 * Whether a full table slows anything down: the rate into an empty table and into one of 50 million rows, and people's
 * queries on the full one while it is quiet and while readings come in at full speed.
 */
import { Command } from "commander";
import { sayProgress as say } from "../../stack/output.ts";
import { MIGRATIONS } from "../../migrations/mod.ts";
import { integer, parseSettings } from "../../workers/_shared/env.ts";
import { runWorker } from "../../workers/_shared/lifecycle.ts";
import type { Database } from "../../workers/_shared/postgres.ts";
import { migrate } from "../../workers/consumer/schema/migrate.ts";
import { consumeAll } from "../ingest/consumer.ts";
import { type Lab, openLab, prepare, withDatabase } from "../ingest/lab.ts";
import { CUSTOMERS, fillTable } from "../lab/large_table.ts";
import { type NamedQuery, peoplesQueries } from "../lab/peoples_queries.ts";
import { type AskedTimes, report } from "./report.ts";

const PARTITIONS = 6;
const QUIET_ROUNDS = 5;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** More than a log's readings take, so that the next log's come behind them. */
const LOG_MS = 12 * HOUR_MS;

await runWorker(async ({ args, signal, resources }) => {
  const flags = parseFlags(args);
  // One log for each run, each later than the one before.
  const options = { records: flags.records, partitions: PARTITIONS, resources, say };
  // At six in the morning, yesterday: what comes behind it goes to the partition that people look at.
  const nowMs = Math.floor(Date.now() / DAY_MS) * DAY_MS - 18 * HOUR_MS;
  const endMs = nowMs - (flags.runs - 1) * LOG_MS;
  const first = await openLab({ ...options, endMs, signal });
  const labs: Lab[] = [first];
  for (let run = 1; run < flags.runs; run++) {
    labs.push(await prepare(first.stack, { ...options, endMs: endMs + run * LOG_MS }));
  }
  // One more goes on where they end, while people look at what came last.
  const [fromMs] = (labs.at(-1) ?? first).log.range;
  const last = await prepare(first.stack, { ...options, endMs: 2 * nowMs - fromMs });
  await withDatabase(first.stack, async (full, url) => {
    await migrate(full, MIGRATIONS);
    say(`Filling a table with ${flags.rows} rows`);
    await fillTable(full, flags.rows, first.log.range[0] - 1, () => {});
    const rates = { empty: [] as number[], full: [] as number[] };
    for (const lab of labs) {
      if (signal.aborted) return;
      const empty = await withDatabase(lab.stack, (database, url) => consumeAll(lab, database, url));
      rates.empty.push(empty.rowsPerSecond);
      rates.full.push((await consumeAll(lab, full, url)).rowsPerSecond);
      say(`rows/s into an empty table: ${rates.empty.at(-1)}; into the full one: ${rates.full.at(-1)}`);
    }
    const queries = await peoplesQueries(new Date(nowMs));
    const quiet = await askInTurns(full, queries, (round) => round < QUIET_ROUNDS);
    const ingest = consumeAll(last, full, url);
    const ended = ingest.then(() => {}, () => {});
    let busy = true;
    void ended.then(() => busy = false);
    const asked = await askInTurns(full, queries, () => busy);
    await ingest;
    await report(flags, { rates, queries, quiet, busy: asked });
  });
});

function parseFlags(args: readonly string[]) {
  const command = new Command("bench:flat")
    .description("Measures the ingest into an empty and a full table, and queries meanwhile.")
    .option("--rows <n>", "of the full table", "50000000")
    .option("--records <n>", "that come in at each run", "5000000")
    .option("--runs <n>", "of each", "3")
    .addHelpText("after", "\nExample:\n  deno task bench:flat --rows 5000000 --runs 1")
    .exitOverride();
  const rows = integer({ min: CUSTOMERS, max: 1_000_000_000, unit: "rows" });
  const settings = {
    rows,
    // Eight hours of readings: more would reach into the next log.
    records: integer({ min: CUSTOMERS, max: 8_000_000, unit: "records" }),
    runs: integer({ min: 1, max: 20, unit: "runs" }),
  };
  const values = command.parse([...args], { from: "user" }).opts();
  return parseSettings("bench:flat", settings, values, { label: (name) => `--${name}` });
}

/** Milliseconds that each query took, the client's time included; the first round, which nothing is cached for, left out. */
async function askInTurns(
  database: Database,
  queries: readonly NamedQuery[],
  goesOn: (round: number) => boolean,
): Promise<AskedTimes> {
  const times = new Map<string, number[]>(queries.map(({ name }) => [name, []]));
  for (let round = 0; goesOn(round); round++) {
    for (const { name, sql } of queries) {
      if (!goesOn(round)) break;
      const began = performance.now();
      await database.query(sql);
      if (round > 0) times.get(name)?.push(performance.now() - began);
    }
  }
  return times;
}
