/** Says of every Kafka offset that was read where it ended, and exits with 1 when one is unaccounted for. */
import { EXIT, runWorker } from "../_shared/lifecycle.ts";
import { openDatabase } from "../_shared/postgres.ts";
import { readConfig } from "./config.ts";
import { isAccounted } from "./judge.ts";
import { reconcile } from "./reconcile.ts";
import { RECOUNT_LIMITS } from "./recount.ts";
import { formatJson, formatReport } from "./report.ts";

await runWorker(async ({ args, env, readFile, signal, resources }) => {
  const { databaseUrl, kafka, json } = readConfig(args, env, readFile);
  const options = { connections: 1, limits: RECOUNT_LIMITS, name: "heartbeat-reconcile" };
  const database = resources.use("database", openDatabase(databaseUrl, options));

  const judgement = await reconcile(database, kafka, { signal });
  const text = json ? formatJson(judgement) : formatReport(judgement);
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
  return isAccounted(judgement) ? EXIT.ok : EXIT.failed;
});
