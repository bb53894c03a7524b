/** Publishes heart-rate records to Kafka: synthetic ones, live or as history, or a recording. */
import { EXIT, runWorker } from "../_shared/lifecycle.ts";
import { serveHealth } from "../_shared/health.ts";
import { healthCheck, isHealthCheck } from "../_shared/health_check.ts";
import { writeError, writeOut } from "../_shared/output.ts";
import { withRunningServers } from "../_shared/running_servers.ts";
import { startTelemetry } from "../_shared/telemetry.ts";
import { readConfig } from "./config.ts";
import { systemClock } from "./clock.ts";
import { openProgress } from "./progress.ts";
import { publish } from "./publish/publish.ts";
import { Sender } from "../_shared/kafka/sender.ts";
import { openSource } from "./source.ts";
import { ProducerTelemetry } from "./publish/telemetry.ts";
import { ensureTopic } from "./publish/topic.ts";

const SUMMARY_EVERY_MS = 10_000;

await runWorker(async ({ args, env, readFile, signal, resources, secrets }) => {
  if (isHealthCheck(args)) return await healthCheck(args, env);
  const { config, note } = await withRunningServers(
    env,
    (vars) => readConfig(args, vars, readFile, systemClock.nowMicros()),
    { needed: ["KAFKA_BOOTSTRAP_SERVERS"] },
  );
  secrets.hide(config.kafka.secrets);
  const { log, metrics } = resources.use("telemetry", startTelemetry("producer", config.log, secrets));
  if (note !== undefined) log.info("servers.running", note);
  const telemetry = new ProducerTelemetry(log, metrics, { eachRecord: config.log.LOG_LEVEL === "debug" });
  const source = await openSource(config.records, (bad) => telemetry.rowSkipped(bad), { signal });
  if (source === undefined) return EXIT.ok;
  telemetry.expecting(source.expected);

  const probes = { live: () => [], ready: () => telemetry.notReady };
  const health = await serveHealth(config.health, probes, metrics, secrets);
  resources.use("health port", health);
  telemetry.healthListening(health.port);

  const sender = resources.use("Kafka connection", new Sender(config.kafka, config.compression));
  const partitions = await ensureTopic(sender.client, config.kafka, config.partitions, telemetry, { signal });
  if (partitions === undefined) return EXIT.ok;

  const summary = setInterval(() => telemetry.summarise(), SUMMARY_EVERY_MS);
  resources.defer("summary timer", () => clearInterval(summary));
  const write = Deno.stderr.isTerminal() ? writeError : () => {};
  using progress = openProgress(write, source.expected);

  const target = { sender, connection: config.kafka, partitions, telemetry };
  const tally = await publish(source.start(systemClock.nowMicros()), target, {
    clock: systemClock,
    signal,
    onProgress: progress.show,
    ...(source.recordsPerSecond === undefined ? {} : { recordsPerSecond: source.recordsPerSecond }),
  });
  tally.skipped = source.skipped;
  writeOut(`${tally}\n`);
  if (tally.sourceError !== undefined) throw tally.sourceError;
  return tally.failed === 0 ? EXIT.ok : EXIT.failed;
});
