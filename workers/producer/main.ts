import { EXIT, runWorker } from "../_shared/lifecycle.ts";
import { healthCheck, isHealthCheck, serveHealth } from "../_shared/health.ts";
import { writeError, writeOut } from "../_shared/output.ts";
import { withRunningServers } from "../_shared/running_servers.ts";
import { startTelemetry } from "../_shared/telemetry.ts";
import { Sender } from "../_shared/kafka/sender.ts";
import { readConfig } from "./config.ts";
import { syntheticSource } from "./generate.ts";
import { unlessAborted } from "./publish/partition_queues.ts";
import { ensureTopic, publish, systemClock } from "./publish/publish.ts";
import { openProgress } from "./publish/records.ts";
import { ProducerTelemetry } from "./publish/telemetry.ts";
import { type BadRow, describeBadRow } from "./recording/row.ts";
import { openRecording } from "./replay.ts";

const SUMMARY_EVERY_MS = 10_000;

await runWorker(async ({ args, env, readFile, signal, resources, secrets }) => {
  if (isHealthCheck(args)) return await healthCheck(args, env);
  const { config, note } = await withRunningServers(
    env,
    (env) => readConfig({ args, env, readFile }, systemClock.nowMicros()),
    { needed: ["KAFKA_BOOTSTRAP_SERVERS"] },
  );
  secrets.hide(config.kafka.secrets);
  const { log, metrics } = resources.use("telemetry", startTelemetry("producer", config.own, secrets));
  if (note !== undefined) log.info("servers.running", note);
  const telemetry = new ProducerTelemetry(log, metrics, { eachRecord: config.own.LOG_LEVEL === "debug" });
  const onSkipped = (bad: BadRow) => telemetry.rowSkipped(bad.reason, describeBadRow(bad));
  const source = "path" in config.records
    ? await unlessAborted(openRecording(config.records, onSkipped, { signal }), signal)
    : syntheticSource(config.records);
  if (source === undefined) return EXIT.ok;
  telemetry.expected = source.expected;

  const probes = { live: () => [], ready: () => telemetry.notReady };
  const { port } = resources.use("health port", await serveHealth(config.own, { probes, metrics, secrets }));
  log.info("health.listening", "answering /livez, /readyz and /metrics", { port });

  const sender = resources.use("Kafka connection", new Sender(config.kafka, config.compression));
  const target = { sender, connection: config.kafka, partitions: config.partitions, telemetry };
  const partitions = await ensureTopic(sender.client, target, signal);
  if (partitions === undefined) return EXIT.ok;

  const summary = setInterval(() => telemetry.summarise(), SUMMARY_EVERY_MS);
  resources.defer("summary timer", () => clearInterval(summary));
  using progress = openProgress(Deno.stderr.isTerminal() ? writeError : () => {}, source.expected);

  try {
    await publish(source, { ...target, partitions }, { signal, onProgress: progress.show });
  } finally {
    writeOut(`${telemetry.tally}\n`);
  }
  return telemetry.tally.failed === 0 ? EXIT.ok : EXIT.failed;
});
