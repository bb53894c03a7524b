import assert from "node:assert/strict";
import { join } from "node:path";
import { startStack } from "../../stack/mod.ts";
import { eventually } from "../../lab/eventually.ts";
import { WorkerProcess } from "../../lab/worker_process.ts";

const LINE = '{"customer_id":"a","timestamp":"2026-01-05T00:00:00Z","heart_rate":70}\n';

async function withPipe(body: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "pipe.ndjson");
    const { success } = await new Deno.Command("mkfifo", { args: [path] }).output();
    assert.ok(success, "mkfifo");
    await body(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("produce --file publishes the lines of a pipe before the pipe ends, and stops in order at SIGTERM", async () => {
  await using stack = await startStack({
    home: await Deno.makeTempDir({ prefix: "heartbeat-test-" }),
    services: ["kafka"],
  });
  await withPipe(async (path) => {
    const env = { KAFKA_BOOTSTRAP_SERVERS: stack.kafkaBootstrapServers, LOG_FORMAT: "json" };
    await using worker = WorkerProcess.start("producer", { args: ["--file", path], env });
    using pipe = await Deno.open(path, { write: true });
    await pipe.write(new TextEncoder().encode(`${LINE}${LINE}{"customer_id":"half a`));
    const published = () => worker.metric("heartbeat_published_total").catch(() => 0);
    await eventually("both readings to be acknowledged", async () => await published() === 2);
    await pipe.write(
      new TextEncoder().encode(`line","timestamp":"2026-01-05T00:00:00Z","heart_rate":70}\n{"customer_`),
    );
    await eventually("the third to be acknowledged", async () => await published() === 3);
    assert.equal(await worker.stop(), 0, worker.tail());
    assert.match(worker.output, /^sent +3\nacknowledged +3\n/m);
  });
});

Deno.test("produce --file stops at SIGTERM while it waits for a silent pipe", async () => {
  await withPipe(async (path) => {
    await using worker = WorkerProcess.start("producer", { args: ["--file", path] });
    // open() returns once the producer has opened the pipe too.
    using _pipe = await Deno.open(path, { write: true });
    assert.equal(await worker.stop(), 0, worker.tail());
    assert.doesNotMatch(worker.output, /Stopped without finishing/);
  });
});

Deno.test("produce --file exits with 1 and says why if a pipe ends without a reading", async () => {
  await withPipe(async (path) => {
    await using worker = WorkerProcess.start("producer", { args: ["--file", path, "--skip-bad"] });
    await Deno.writeTextFile(path, "[]\n");
    assert.equal(await worker.exitCode(), 1, worker.tail());
    assert.match(worker.output, /all 1 rows were skipped/);
  });
});
