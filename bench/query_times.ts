import { Command } from "commander";
import { MIGRATIONS } from "../migrations/mod.ts";
import { sayProgress as say } from "../stack/output.ts";
import { integer, parseSettings } from "../workers/_shared/env.ts";
import { runWorker } from "../workers/_shared/lifecycle.ts";
import { type Database, openDatabase } from "../workers/_shared/postgres.ts";
import { formatTable } from "../workers/_shared/table.ts";
import { migrate } from "../workers/consumer/schema/migrate.ts";
import { NO_LIMITS, withDatabase } from "./ingest/lab.ts";
import { fillTable } from "./lab/large_table.ts";
import { userQueries } from "./lab/user_queries.ts";
import { startServers } from "./lab/servers.ts";
import { summarize } from "./lab/statistics.ts";

const RUNS = 7;
const CUSTOMERS = 1_000;

interface Timed {
  readonly name: string;
  readonly medianMs: number;
  readonly plan: string;
}

await runWorker(async ({ args, resources, signal }) => {
  const flags = parseFlags(args);
  const stack = await startServers({ signal, resources }, { services: ["postgres"] });
  const measured = new Map<number, Timed[]>();
  for (const rows of [flags.small, flags.large]) {
    const timed = await withDatabase(stack, async (database) => {
      await migrate(database, MIGRATIONS);
      const endMs = Date.now();
      const secondsSince = () => Math.round((Date.now() - endMs) / 1000);
      const onProgress = (filled: number) => {
        if (filled % 5_000_000 === 0) say(`${filled} of ${rows} rows after ${secondsSince()} s`);
      };
      await fillTable(database, { rows, customers: CUSTOMERS, endMs, onProgress });
      say(`The table has all ${rows} rows after ${secondsSince()} s`);
      return await timeQueries(database, new Date(endMs));
    });
    measured.set(rows, timed);
  }
  await report(measured, flags, await versionOf(stack.superuserUrl));
});

function parseFlags(args: readonly string[]): { small: number; large: number } {
  const command = new Command("bench:queries")
    .description("Measures the queries of the dashboards and alert rules on a small and on a large table.")
    .option("--small <rows>", "rows of the small table", "1000000")
    .option("--large <rows>", "rows of the large table", "50000000")
    .addHelpText("after", "\nExample:\n  deno task bench:queries --large 5000000")
    .exitOverride();
  const rows = integer({ min: CUSTOMERS, max: 1_000_000_000, unit: "rows" });
  const values = command.parse([...args], { from: "user" }).opts();
  return parseSettings("bench:queries", { small: rows, large: rows }, values, {
    label: (name) => `--${name}`,
  });
}

async function timeQueries(database: Database, end: Date): Promise<Timed[]> {
  const timed: Timed[] = [];
  for (const { name, sql } of await userQueries(end)) {
    const times: number[] = [];
    for (let run = 0; run < RUNS; run++) {
      const began = performance.now();
      await database.query(sql);
      times.push(performance.now() - began);
    }
    const plan = await database.query<Record<string, string>>(`explain (analyze, buffers) ${sql}`);
    timed.push({
      name,
      medianMs: summarize(times).median,
      plan: `${sql}\n\n${plan.map((row) => row["QUERY PLAN"]).join("\n")}`,
    });
  }
  return timed;
}

async function versionOf(url: string): Promise<string> {
  await using database = openDatabase(url, { connections: 1, limits: NO_LIMITS, name: "bench" });
  const [row] = await database.query<{ server_version: string }>("show server_version");
  return `PostgreSQL ${row?.server_version}, Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores`;
}

async function report(
  measured: ReadonlyMap<number, readonly Timed[]>,
  { small, large }: { small: number; large: number },
  versions: string,
): Promise<void> {
  const [ofSmall = [], ofLarge = []] = [measured.get(small), measured.get(large)];
  const lines = ofLarge.map(({ name, medianMs }, index) => {
    const smallMs = ofSmall[index]?.medianMs ?? NaN;
    return [name, smallMs.toFixed(1), medianMs.toFixed(1), (medianMs / smallMs).toFixed(2)];
  });
  const numbers = [`ms at ${small}`, `ms at ${large}`, "ratio"].map((title) => ({
    title,
    align: "right" as const,
  }));
  const table = formatTable([{ title: "query" }, ...numbers], lines);
  const text = `${versions}; median of ${RUNS} runs, measured at the client\n\n${table}\n`;
  Deno.stdout.writeSync(new TextEncoder().encode(text));
  const folder = new URL("results/", import.meta.url);
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(new URL("query_times.txt", folder), text);
  const plans = ofLarge.map(({ name, plan }) => `## ${name}\n\n${plan}\n`).join("\n");
  await Deno.writeTextFile(new URL("query_plans.txt", folder), `${versions}; ${large} rows\n\n${plans}`);
}
