/** Publishes known records and checks the outcome of each: an end-to-end test of a deployment. */
import { EXIT, runWorker } from "../_shared/lifecycle.ts";
import { printableLines, writeError, writeOut } from "../_shared/output.ts";
import { openDatabase, sessionLimits } from "../_shared/postgres.ts";
import { withRunningServers } from "../_shared/running_servers.ts";
import { SCENARIOS } from "./catalogue/mod.ts";
import { readConfig } from "./config.ts";
import { runScenarios } from "./run_scenarios.ts";
import { formatList, formatSummary, formatVerdicts } from "./report.ts";
import { createRun } from "./catalogue/scenario.ts";

await runWorker(async ({ args, env, readFile, signal, resources, secrets }) => {
  const line = (text: string) => `${printableLines(secrets.redact(text))}\n`;
  const print = (text: string) => void writeOut(line(text));
  const printProgress = (text: string) => writeError(line(text));
  const newRunId = crypto.randomUUID().slice(0, 8);
  const { config, note } = await withRunningServers(
    env,
    (vars) => readConfig(args, vars, readFile, { all: SCENARIOS, newRunId }),
    { reads: true },
  );
  if (config === undefined) return print(formatList(SCENARIOS));
  if (note !== undefined) printProgress(note);

  secrets.hide(config.secrets);
  const { kafka, runId, timeout, timeoutMs } = config;
  const session = { connections: 1, limits: sessionLimits(30_000), name: "heartbeat-scenarios" };
  const database = resources.use("database", openDatabase(config.databaseUrl, session));
  const run = createRun(runId, config.limits, Date.now());

  const verdicts = await runScenarios({ kafka, database }, config.scenarios, run, {
    signal,
    timeoutMs,
    onProgress: printProgress,
  });
  if (verdicts === undefined) return EXIT.interrupted;
  print(`${formatVerdicts(verdicts)}\n\n${formatSummary(verdicts, { runId, topic: kafka.topic, timeout })}`);
  return verdicts.every(({ pass }) => pass) ? EXIT.ok : EXIT.failed;
});
