import { deepStrictEqual, strictEqual } from "node:assert";
import { eventually } from "../../lab/eventually.ts";
import { onPlace } from "../support/services.ts";
import { WorkerProcess } from "../../lab/worker_process.ts";

const NOWHERE = "127.0.0.1:1";
const THROWS = new URL("../support/preload/connect_throws.ts", import.meta.url).pathname;
/** If each attempt that throws cost the connection pool a slot, it would have no slot left after these. */
const ATTEMPTS = 3;

async function assertStopsAfterAttempts(worker: WorkerProcess): Promise<void> {
  await eventually(`${ATTEMPTS} attempts`, () => worker.events("test.connect_threw").length >= ATTEMPTS, {
    seen: () => worker.tail(),
  });
  strictEqual(await worker.stop(), 0, worker.tail());
}

Deno.test("a program that gives up says why and exits with code 1, even if its shutdown hangs", async () => {
  const program = new URL("../support/hung_program.ts", import.meta.url);
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "--allow-env", program.pathname],
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  strictEqual(code, 1);
  deepStrictEqual(new TextDecoder().decode(stderr).trim().split("\n"), [
    "Cannot go on: the server of *** says nothing",
    "Stopped without finishing after 10 s; still open: the loop that hangs",
  ]);
});

Deno.test(
  "a worker exits with code 0 after SIGTERM, even if each of its attempts to connect throws",
  onPlace({}, async (place, t) => {
    const servers = {
      DATABASE_URL: place.databaseUrl,
      KAFKA_BOOTSTRAP_SERVERS: place.stack.kafkaBootstrapServers,
      KAFKA_TOPIC: place.topic,
      LOG_FORMAT: "json",
    };
    const step = (what: string, worker: "consumer" | "producer", env: Record<string, string>) =>
      t.step(what, async () => {
        await using process = WorkerProcess.start(worker, { preload: THROWS, env: { ...servers, ...env } });
        await assertStopsAfterAttempts(process);
      });
    const unreachable = { KAFKA_BOOTSTRAP_SERVERS: NOWHERE };
    await step("the consumer connects to PostgreSQL", "consumer", {
      DATABASE_URL: `postgres://a:b@${NOWHERE}/c`,
    });
    await step("the consumer connects to Kafka", "consumer", unreachable);
    await step("the producer connects to Kafka", "producer", unreachable);
  }),
);
