/** A broker that says nothing from the first connection on, and topics whose limits are not the usual ones. */
import { ok, strictEqual } from "node:assert";
import { openLink } from "../../stack/network/link.ts";
import { bad, reading } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import { onPlace } from "../support/services.ts";
import { WorkerProcess } from "../../lab/worker_process.ts";
import { accountFor } from "./account.ts";
import { backlog } from "./backlog.ts";
import { PARTITIONS, stored } from "./load.ts";

function produce(place: Place, env: Record<string, string>, ...args: string[]): WorkerProcess {
  return WorkerProcess.start("producer", {
    env: {
      KAFKA_BOOTSTRAP_SERVERS: place.stack.kafkaBootstrapServers,
      KAFKA_TOPIC: place.topic,
      LOG_FORMAT: "json",
      ...env,
    },
    args: ["--dropout-rate", "0", ...args],
  });
}

Deno.test(
  "a broker that accepts connections and never answers: consumer and producer wait, say so, and begin when it speaks",
  onPlace({ partitions: PARTITIONS }, async (place) => {
    const [host = "", port] = place.stack.kafkaBootstrapServers.split(":");
    await using link = await openLink({ host, port: Number(port) });
    link.silent = true;
    const env = { KAFKA_BOOTSTRAP_SERVERS: `127.0.0.1:${link.port}` };
    const consumer = place.consumer({ env });
    await using producer = produce(place, env, "--count", "1000", "--rate", "1000");
    await consumer.notReady(/kafka: Cannot read the topic at Kafka .*(timed out|timeout)/i);
    strictEqual((await consumer.get("/livez")).status, 200);
    await producer.notReady(/Kafka has not taken a record/);
    ok(producer.running && consumer.running);
    // What was said into the silence is not answered any more.
    link.heal();
    link.reset();
    strictEqual(await producer.exitCode(), 0, producer.tail());
    await place.caughtUp();
    strictEqual(await stored(place), 1_000);
    await consumer.ready();
  }),
);

Deno.test(
  "a topic that takes small batches only: the producer sends smaller ones, and every record is stored",
  onPlace({ partitions: PARTITIONS, topicConfig: { "max.message.bytes": "2000" } }, async (place) => {
    place.consumer();
    await using producer = produce(place, {}, "--count", "5000", "--rate", "20000");
    strictEqual(await producer.exitCode(), 0, producer.tail());
    ok(/acknowledged\s+5000/.test(producer.output), producer.tail());
    await place.caughtUp();
    strictEqual(await stored(place), 5_000);
  }),
);

Deno.test(
  "a topic that takes records of megabytes: they are read whole, rejected with their bytes, and hold nothing up",
  onPlace({ topicConfig: { "max.message.bytes": String(16 * 1024 * 1024) } }, async (place) => {
    const consumer = place.consumer();
    const large = new Uint8Array(6 * 1024 * 1024).fill(0x78);
    const sent = await place.publisher.send(backlog(0, 500, 1));
    for (let index = 0; index < 3; index++) {
      sent.push(...await place.publisher.send([bad("invalid_json", large, { key: "large", partition: 0 })]));
      sent.push(...await place.publisher.send([reading(`after-${index}`, "2026-07-14T00:00:00Z", 70)]));
    }
    await accountFor(place, sent);
    strictEqual((await consumer.get("/livez")).status, 200);
  }),
);
