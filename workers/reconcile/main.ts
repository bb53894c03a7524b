/** Shows the outcome of every offset that was read; exits with 1 if one is unaccounted for. */
import { EXIT, runWorker } from "../_shared/lifecycle.ts";
import { printableLines, writeError, writeOut } from "../_shared/output.ts";
import { openDatabase } from "../_shared/postgres.ts";
import { withRunningServers } from "../_shared/running_servers.ts";
import { readConfig } from "./config.ts";
import { isAccounted, judge } from "./judge.ts";
import { kafkaLogs } from "./kafka_logs.ts";
import { recount, RECOUNT_LIMITS } from "./recount.ts";
import { formatJson, formatReport } from "./report.ts";

await runWorker(async ({ args, env, readFile, signal, resources, secrets }) => {
  const { config, note } = await withRunningServers(env, (vars) => readConfig(args, vars, readFile), {
    reads: true,
  });
  const { databaseUrl, kafka, json, secrets: configSecrets } = config;
  if (note !== undefined) writeError(`${note}\n`);
  secrets.hide(configSecrets);
  const options = { connections: 1, limits: RECOUNT_LIMITS, name: "heartbeat-reconcile" };
  const database = resources.use("database", openDatabase(databaseUrl, options));

  const counted = await recount(database, { signal });
  const judgement = judge(counted, await kafkaLogs(kafka, counted.accounts, { signal }));
  const text = printableLines(secrets.redact(json ? formatJson(judgement) : formatReport(judgement)));
  writeOut(`${text}\n`);
  return isAccounted(judgement) ? EXIT.ok : EXIT.failed;
});
