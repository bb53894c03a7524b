import { retryUntilAborted } from "../_shared/backoff.ts";
import { healthCheck, isHealthCheck, serveHealth } from "../_shared/health.ts";
import { runWorker } from "../_shared/lifecycle.ts";
import { databaseFailure, openDatabase } from "../_shared/postgres.ts";
import { withRunningServers } from "../_shared/running_servers.ts";
import { startTelemetry } from "../_shared/telemetry.ts";
import { loadConsumerConfig, parseConsumerFlags } from "./config.ts";
import { consume } from "./consume.ts";
import { DayPartitions } from "./day_partitions/day_partitions.ts";
import { Floor } from "./day_partitions/floor.ts";
import { migrateWhenReachable } from "./schema/migrate.ts";
import { createPlanner } from "./store/plan_batch.ts";
import { HealthState } from "./health/health_state.ts";
import { makeRoles } from "./schema/roles.ts";
import { Rollup } from "./rollup/rollup.ts";
import { createStore } from "./store/store.ts";
import { transactionsOf } from "./store/transactions.ts";
import { consumerTelemetry } from "./telemetry/telemetry.ts";
import { TwoClocks } from "./health/two_clocks.ts";
import { CatchUp } from "./until_caught_up.ts";

await runWorker(async ({ args, env, readFile, signal, fail, resources, secrets }) => {
  if (isHealthCheck(args)) return await healthCheck(args, env);
  const flags = parseConsumerFlags(args);
  const { config, note } = await withRunningServers(env, (vars) => loadConsumerConfig(vars, readFile));
  secrets.hide(config.secrets);
  const shared = resources.use("log", startTelemetry("consumer", config.log, secrets));
  if (note !== undefined) shared.log.info("servers.running", note);
  const health = new HealthState();
  const telemetry = consumerTelemetry(shared, health, { debug: config.log.LOG_LEVEL === "debug" });
  const catchUp = flags.untilCaughtUp
    ? resources.use("deadline", new CatchUp(config.kafka, health))
    : undefined;
  if (flags.timeoutSeconds !== undefined) catchUp?.limit(flags.timeoutSeconds, fail);
  const probes = { live: () => health.liveReasons(), ready: () => health.readyReasons() };
  const { port } = resources.use(
    "health port",
    await serveHealth(config.health, { probes, metrics: shared.metrics, secrets }),
  );
  telemetry.healthListening(port);

  const applied = await migrateWhenReachable(config.database.url, telemetry.databaseFailed, { signal });
  if (applied === undefined) return;
  telemetry.migrated(applied);
  const database = resources.use("database", openDatabase(config.database.url, config.database));
  // On the servers of `deno task stack`, the tasks that only read need the reader's rights.
  if (flags.migrateOnly || note !== undefined) {
    telemetry.rolesMade(await makeRoles(database, config.roles));
  }
  if (flags.migrateOnly) return;

  const clocks = new TwoClocks();
  const floor = new Floor();
  const ask = () => Promise.all([clocks.ask(database), floor.ask(database)]);
  const failed = (error: unknown) => telemetry.databaseFailed(databaseFailure("ask", database.target, error));
  await retryUntilAborted(ask, failed, { signal });
  const plan = createPlanner(config.limits, clocks.own, clocks.database, () => floor.instant);
  const store = createStore(transactionsOf(database), config.database.connections);
  const rollup = resources.use("rollup", new Rollup(config.database, store, telemetry));
  const ports = {
    connection: config.kafka,
    database,
    store,
    dayPartitions: new DayPartitions(database, telemetry),
    plan,
    clocks,
    floor,
    rollup,
    telemetry,
    health,
    secrets,
  };
  const consumeUntil = (signal: AbortSignal) => consume({ ...ports, options: { ...config, signal, fail } });
  if (catchUp === undefined) return await consumeUntil(signal);
  await catchUp.run(consumeUntil, database, telemetry, { signal });
});
