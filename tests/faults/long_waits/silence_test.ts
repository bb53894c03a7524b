import { deepStrictEqual, strictEqual } from "node:assert";
import { eventually } from "../../../lab/eventually.ts";
import { judge } from "../../support/judge.ts";
import { gapsOf, secondsOf } from "../../support/log_content.ts";
import { linkToKafka, onPlace, servers } from "../../support/services.ts";
import { openSilentBroker } from "../../support/silent_broker.ts";

/** The pauses between fetches grow to seconds, so this many take about half a minute. */
const EMPTY_RESPONSES = 16;

/** Runs the body with a broker that sends no record of partition 0 until the body calls `speak`. */
async function behindSilence(
  body: (broker: {
    readonly env: Readonly<Record<string, string>>;
    readonly emptied: () => number;
    readonly speak: () => void;
  }) => Promise<void>,
): Promise<void> {
  const link = await linkToKafka();
  const { target } = link;
  const [port = 0] = (await servers()).kafkaLinkPorts;
  await using broker = await openSilentBroker({ host: "127.0.0.1", port });
  broker.emptied.set(0, 0);
  link.target = { host: "127.0.0.1", port: broker.port };
  try {
    await body({
      env: { KAFKA_BOOTSTRAP_SERVERS: `127.0.0.1:${link.port}` },
      emptied: () => broker.emptied.get(0) ?? 0,
      speak: () => broker.emptied.clear(),
    });
  } finally {
    link.target = target;
  }
}

for (const policy of ["fail", "earliest"]) {
  Deno.test(
    `with KAFKA_OFFSET_RESET=${policy}, a consumer stores no gap but the records after a broker withheld them for half a minute`,
    onPlace({ partitions: 2 }, async (place) => {
      const sent = await place.publisher.send([...secondsOf("a", 500, 0), ...secondsOf("b", 10, 1)]);
      await behindSilence(async ({ env, emptied, speak }) => {
        const consumer = place.consumer({ env: { ...env, KAFKA_OFFSET_RESET: policy } });
        let gaps: unknown;
        await eventually("many empty responses", async () => {
          gaps = await gapsOf(place);
          return emptied() >= EMPTY_RESPONSES;
        }, { seen: () => ({ emptied: emptied(), gaps }) });
        deepStrictEqual(gaps, []);
        await consumer.untilNotReady(
          /log of partition 0: Kafka sends no record from offset 0 on, although the log ends at 500; .*delete/,
        );
        strictEqual((await consumer.get("/livez")).status, 200);
        await judge(place, sent.filter(({ partition }) => partition === 1));
        speak();
        await place.untilCaughtUp();
        await consumer.untilReady();
        deepStrictEqual(await gapsOf(place), []);
        await judge(place, sent);
        for (const event of ["partition.silent", "partition.heard"]) {
          strictEqual(consumer.events(event).length, 1, event);
        }
      });
    }),
  );
}

Deno.test(
  "when the topic of a silent partition is created again, a consumer reads the new log from its beginning",
  onPlace({}, async (place) => {
    await place.publisher.send(secondsOf("old", 5));
    await behindSilence(async ({ env, emptied, speak }) => {
      const consumer = place.consumer({ env });
      await consumer.untilNotReady(/log of partition 0: /);
      await place.deleteTopic();
      await place.createTopic(1);
      const recent = await place.publisher.send(secondsOf("new", 8));
      speak();
      await place.untilCaughtUp();
      await consumer.untilReady();
      await judge(place, recent);
      deepStrictEqual([await gapsOf(place), emptied()], [[], 0]);
    });
  }),
);

Deno.test(
  "a consumer holds a silent partition whose records are deleted",
  onPlace({}, async (place) => {
    await place.publisher.send(secondsOf("a", 20));
    await behindSilence(async ({ env }) => {
      const consumer = place.consumer({ env });
      await consumer.untilNotReady(/log of partition 0: /);
      await place.admin.deleteRecords({
        topics: [{ name: place.topic, partitions: [{ partition: 0, offset: 15n }] }],
      });
      await consumer.untilNotReady(/partition 0: offset 0 is stored, but the log holds 15 to 20: 15 records/);
      await eventually("readiness to name the silent log no more", async () => {
        return !(await consumer.get("/readyz")).text.includes("log of partition 0");
      });
    });
  }),
);
