import { once } from "node:events";
import { retryUntilAborted } from "../_shared/backoff.ts";
import { healthCheck, isHealthCheck, serveHealth } from "../_shared/health.ts";
import { PipelineError } from "../_shared/errors.ts";
import { runWorker } from "../_shared/lifecycle.ts";
import { openReader, requireReader } from "../_shared/reader.ts";
import { withRunningServers } from "../_shared/running_servers.ts";
import { startTelemetry } from "../_shared/telemetry.ts";
import { createAccess } from "./access/access.ts";
import { createApp } from "./app.tsx";
import { readConfig, READER } from "./config.ts";
import { Feeds } from "./live/feeds.ts";
import { createSources } from "./live/sources.ts";
import { createQueries } from "./queries/queries.ts";
import { notReady } from "./readiness.ts";
import { serve } from "./server/serve.ts";
import { measure } from "./telemetry/measure.ts";
import { monitorTelemetry } from "./telemetry/telemetry.ts";

await runWorker(async ({ args, env, readFile, signal, resources, secrets }) => {
  if (isHealthCheck(args)) return await healthCheck(args, env);
  const load = (vars: typeof env) => readConfig(args, vars, readFile);
  const { config, note } = await withRunningServers(env, load, { needed: ["DATABASE_URL"], reads: true });
  secrets.hide(config.secrets);
  const { log, metrics } = resources.use("log", startTelemetry("monitor", config.log, secrets));
  if (note !== undefined) log.info("servers.running", note);
  const telemetry = monitorTelemetry({ log, metrics });
  const database = resources.use("database", openReader(config.databaseUrl, READER));
  const probes = { live: () => [], ready: () => notReady(database) };
  const health = resources.use("health port", await serveHealth(config.health, { probes, metrics, secrets }));
  telemetry.healthListening(health.port);

  const measured = measure(database.target, telemetry);
  let isReader = false;
  const checkLogin = async () => {
    if (!isReader) await measured("login", () => requireReader(database, "monitor"));
    isReader = true;
  };
  const queries = createQueries(database, async (name, query) => {
    // Nothing is shown to a login that may change data.
    await checkLogin();
    return await measured(name, query);
  });
  const access = createAccess({
    ...config.access,
    port: () => server.port,
    onAddress: telemetry.addressChanged,
    onWrongPassword: telemetry.passwordRefused,
  });
  const feeds = new Feeds(telemetry);
  const app = createApp({ access, queries, feeds, sources: createSources(queries), telemetry });
  const options = { ...config.server, onFailedBody: telemetry.responseFailed };
  const server = resources.use("page", await serve(app.fetch, options));
  resources.use("event streams", feeds);
  telemetry.listening(access.address(), server.port);

  // Last, because the page also works without the database: it tells the viewers what is wrong.
  const throwIfFinal = (error: unknown) => {
    if (!(error instanceof PipelineError && error.retriable)) throw error;
  };
  await retryUntilAborted(checkLogin, throwIfFinal, { signal });
  if (!signal.aborted) await once(signal, "abort");
});
