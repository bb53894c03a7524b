import { ok, strictEqual } from "node:assert";
import { openLink } from "../../stack/network/link.ts";
import { bad, reading } from "../support/judge.ts";
import { onPlace } from "../support/services.ts";
import { accountFor } from "./account.ts";
import { backlog } from "./backlog.ts";
import { countStored, PARTITIONS } from "./load.ts";
import { startProducer } from "./produce_load.ts";

Deno.test(
  "consumer and producer wait for a broker that accepts connections but never answers, and start when it answers",
  onPlace({ partitions: PARTITIONS }, async (place) => {
    const [host = "", port] = place.stack.kafkaBootstrapServers.split(":");
    await using link = await openLink({ host, port: Number(port) });
    link.silent = true;
    const env = { KAFKA_BOOTSTRAP_SERVERS: `127.0.0.1:${link.port}` };
    const consumer = place.consumer({ env });
    await using producer = startProducer(
      place,
      ["--count", "1000", "--rate", "1000", "--dropout-rate", "0"],
      env,
    );
    await consumer.untilNotReady(/kafka: Cannot read the topic at Kafka .*(timed out|timeout)/i);
    strictEqual((await consumer.get("/livez")).status, 200);
    await producer.untilNotReady(/Kafka has not taken a record/);
    ok(producer.running && consumer.running);
    // The link dropped some requests. Only a reset makes the clients send them again.
    link.heal();
    link.reset();
    strictEqual(await producer.exitCode(), 0, producer.tail());
    await place.untilCaughtUp();
    strictEqual(await countStored(place), 1_000);
    await consumer.untilReady();
  }),
);

Deno.test(
  "the producer sends smaller batches to a topic with a small max.message.bytes, and every record is stored",
  onPlace({ partitions: PARTITIONS, topicConfig: { "max.message.bytes": "2000" } }, async (place) => {
    place.consumer();
    await using producer = startProducer(place, [
      "--count",
      "5000",
      "--rate",
      "20000",
      "--dropout-rate",
      "0",
    ]);
    strictEqual(await producer.exitCode(), 0, producer.tail());
    ok(/acknowledged\s+5000/.test(producer.output), producer.tail());
    await place.untilCaughtUp();
    strictEqual(await countStored(place), 5_000);
  }),
);

Deno.test(
  "a consumer rejects records of 6 MB with their exact bytes, and stores the records that follow them",
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
