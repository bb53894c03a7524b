/** Runs one query as the reader and prints its rows. */
import { EXIT, runWorker } from "../_shared/lifecycle.ts";
import { printableLines, writeError, writeOut } from "../_shared/output.ts";
import { openReader, requireReader } from "../_shared/reader.ts";
import { withRunningServers } from "../_shared/running_servers.ts";
import { PROGRAM, readConfig } from "./config.ts";
import { NAMED_QUERIES } from "./queries.ts";
import { createPrinter } from "./print_rows.ts";
import { runQuery, SQL_LIMITS } from "./run_query.ts";

await runWorker(async ({ args, env, readFile, signal, resources, secrets }) => {
  const load = (vars: typeof env) => readConfig(args, vars, readFile);
  const { config, note } = await withRunningServers(env, load, { needed: ["DATABASE_URL"], reads: true });
  if (config === undefined) return void writeOut(NAMED_QUERIES);
  const say = (text: string) => writeError(printableLines(secrets.redact(text)));
  secrets.hide(config.secrets);
  if (note !== undefined) say(note);
  const options = { connections: 1, limits: SQL_LIMITS, name: "heartbeat-sql" };
  const database = resources.use("database", openReader(config.databaseUrl, options));
  await requireReader(database, PROGRAM);

  const printer = createPrinter({ ...config, isTerminal: Deno.stdout.isTerminal() }, (text) => {
    return writeOut(text) && !signal.aborted;
  });
  const result = await runQuery(database, config, printer, { signal });
  if (result.kind === "cancelled") return EXIT.interrupted;
  if (result.kind === "failed") {
    say(result.text);
    return EXIT.failed;
  }
  if (result.isCut) say(`There are more rows than --limit ${config.limit}; --limit 0 prints all.`);
});
