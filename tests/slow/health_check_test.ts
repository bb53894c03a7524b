import { deepStrictEqual, match, strictEqual } from "node:assert";
import { eventually } from "../../lab/eventually.ts";
import type { Place } from "../../lab/place.ts";
import { onPlace } from "../support/services.ts";
import { WorkerProcess } from "../../lab/worker_process.ts";

async function healthCheck(
  worker: "consumer" | "producer",
  port: unknown,
  args: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<{ code: number; output: string }> {
  await using check = WorkerProcess.start(worker, {
    args: ["health-check", ...args],
    env: {
      HEALTH_PORT: String(port),
      // A container may have a proxy setting. The check must not use it.
      HTTP_PROXY: "http://127.0.0.1:9",
      http_proxy: "http://127.0.0.1:9",
      ...env,
    },
  });
  return { code: await check.exitCode(), output: check.output };
}

async function portOf(worker: WorkerProcess): Promise<unknown> {
  return (await worker.untilLogged("health.listening")).port;
}

function startProducer(place: Place): WorkerProcess {
  return WorkerProcess.start("producer", {
    args: ["--customers", "3"],
    env: {
      KAFKA_BOOTSTRAP_SERVERS: place.stack.kafkaBootstrapServers,
      KAFKA_TOPIC: place.topic,
      LOG_FORMAT: "json",
    },
  });
}

Deno.test(
  "health-check exits with 0 for a ready consumer, on any HEALTH_HOST",
  onPlace({}, async (place) => {
    const consumer = place.consumer({ env: { HEALTH_HOST: "0.0.0.0" } });
    await consumer.untilReady();
    const port = await portOf(consumer);
    const ready = await healthCheck("consumer", port, [], { HEALTH_HOST: "0.0.0.0" });
    match(ready.output, /readyz: 200 .*"ok"/);
    strictEqual(ready.code, 0);
    strictEqual((await healthCheck("consumer", port, ["livez"])).code, 0);
    strictEqual(await consumer.stop(), 0);
  }),
);

Deno.test(
  "health-check exits with 1 and the reason for a consumer that is alive but not ready",
  onPlace({ partitions: 0 }, async (place) => {
    const consumer = place.consumer();
    await consumer.untilNotReady(/topic/);
    const port = await portOf(consumer);
    const ready = await healthCheck("consumer", port, ["readyz"]);
    strictEqual(ready.code, 1);
    match(ready.output, /readyz: 503 .*does not exist/);
    strictEqual((await healthCheck("consumer", port, ["livez"])).code, 0);
  }),
);

Deno.test(
  "health-check exits with 1 if the program hangs or has ended",
  onPlace({}, async (place) => {
    const consumer = place.consumer();
    await consumer.untilReady();
    const port = await portOf(consumer);
    consumer.kill("SIGSTOP");
    const hung = await healthCheck("consumer", port);
    strictEqual(hung.code, 1);
    match(hung.output, /no answer/);
    consumer.kill("SIGKILL");
    await consumer.exited;
    const gone = await healthCheck("consumer", port);
    strictEqual(gone.code, 1);
    match(gone.output, /no answer.*refused/i);
  }),
);

Deno.test(
  "health-check works for the producer, and exits with 2 for a wrong argument",
  onPlace({ partitions: 0 }, async (place) => {
    await using producer = startProducer(place);
    const port = await portOf(producer);
    await producer.untilLogged("topic.found");
    await eventually(
      "the producer to be ready",
      async () => (await healthCheck("producer", port)).code === 0,
    );
    strictEqual(await producer.stop(), 0);
    const wrong = await healthCheck("producer", "0");
    deepStrictEqual([wrong.code, /HEALTH_PORT: is "0", expected an integer from 1/.test(wrong.output)], [
      2,
      true,
    ]);
    strictEqual((await healthCheck("producer", port, ["metrics"])).code, 2);
  }),
);
