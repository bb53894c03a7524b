/** What is opened again after each fault must not stay open beside what replaced it. */
import { strictEqual } from "node:assert";
import { doesNotMatch } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { openLink } from "../../stack/network/link.ts";
import { startStack } from "../../stack/mod.ts";
import { HOST } from "../../stack/network/ports.ts";
import { judge } from "../support/judge.ts";
import { createPlace, type Place } from "../../lab/place.ts";
import { COUNTED, heldBy, holdsNoMoreThan } from "../support/resources.ts";
import { backlog } from "./backlog.ts";

const PARTITIONS = 3;
const RECORDS = 30;
/** Each cuts every connection to both servers: five or more. */
const CUTS = 60;
const REBALANCES = 6;
const RESTARTS = 6;

// deno-lint-ignore house/max-function-lines -- three disturbances as a table, and one arrangement
Deno.test("60 cuts of every connection, rebalances and database restarts leave no connection, descriptor, timer or listener behind", async (t) => {
  await using kafkaLink = await openLink();
  const home = await Deno.makeTempDir({ prefix: "heartbeat-test-" });
  const stack = await startStack({ home, kafkaLinks: [kafkaLink.port] });
  try {
    kafkaLink.target = { host: HOST, port: stack.kafkaLinkPorts[0] ?? 0 };
    await using place = await createPlace(stack, t.name, { partitions: PARTITIONS });
    const database = new URL(place.databaseUrl);
    await using databaseLink = await openLink({ host: database.hostname, port: Number(database.port) });
    const consumer = place.consumer({
      preload: COUNTED,
      env: {
        KAFKA_BOOTSTRAP_SERVERS: `${HOST}:${kafkaLink.port}`,
        DATABASE_URL: databaseLink.through(place.databaseUrl),
        KAFKA_SESSION_TIMEOUT_MS: "6000",
      },
    });
    const sent: Awaited<ReturnType<typeof publish>> = [];
    const disturbances: readonly (readonly [times: number, disturb: () => Promise<void>])[] = [
      [CUTS, async () => {
        // One in the middle of a COPY, and all the others with it.
        let armed = true;
        databaseLink.onRequest = (bytes) => {
          if (!armed || !Buffer.from(bytes).includes("copy ")) return true;
          kafkaLink.reset();
          databaseLink.reset();
          return armed = false;
        };
        sent.push(...await publish(place, sent.length));
        await place.caughtUp();
      }],
      [REBALANCES, async () => {
        const other = place.consumer({ env: { KAFKA_SESSION_TIMEOUT_MS: "6000" } });
        await other.said("group.assigned");
        strictEqual(await other.stop(), 0);
        sent.push(...await publish(place, sent.length));
        await place.caughtUp();
      }],
      [RESTARTS, async () => {
        await stack.postgres.kill();
        await consumer.notReady(/database/);
        await stack.postgres.start();
        sent.push(...await publish(place, sent.length));
        await place.caughtUp();
      }],
    ];
    // Once each before it counts: what is made at the first need is no leak.
    for (const [, disturb] of disturbances) await disturb();
    await consumer.ready();
    const before = await heldBy(consumer, place);
    for (const [times, disturb] of disturbances) {
      for (let time = 0; time < times; time++) await disturb();
      await consumer.ready();
      await holdsNoMoreThan(before, consumer, place);
    }
    await judge(place, sent);
    doesNotMatch(consumer.output, /MaxListenersExceeded|TimeoutNegative/);
    strictEqual(await consumer.stop(), 0);
  } finally {
    await stack.destroy();
  }
});

function publish(place: Place, from: number) {
  return place.publisher.send(backlog(from, RECORDS, PARTITIONS));
}
