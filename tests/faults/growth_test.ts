import { strictEqual } from "node:assert";
import { doesNotMatch } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { openLink } from "../../stack/network/link.ts";
import { startStack } from "../../stack/mod.ts";
import { HOST } from "../../stack/network/ports.ts";
import { QUICK_TAKEOVER } from "../support/quick_takeover.ts";
import { judge } from "../support/judge.ts";
import { createPlace, type Place } from "../../lab/place.ts";
import { COUNTED, heldBy, waitForRelease } from "../support/resources.ts";
import { backlog } from "./backlog.ts";
import { linkToDatabase } from "./links.ts";

const PARTITIONS = 3;
const RECORDS = 30;
const RESETS = 60;
const REBALANCES = 6;
const RESTARTS = 6;

// deno-lint-ignore house/max-function-lines -- a table of three disturbances that share their setup
Deno.test("a consumer leaks no resource in 60 resets of all connections, six rebalances and six database restarts", async (t) => {
  await using kafkaLink = await openLink();
  const home = await Deno.makeTempDir({ prefix: "heartbeat-test-" });
  const stack = await startStack({ home, kafkaLinks: [kafkaLink.port] });
  try {
    kafkaLink.target = { host: HOST, port: stack.kafkaLinkPorts[0] ?? 0 };
    await using place = await createPlace(stack, t.name, { partitions: PARTITIONS });
    await using databaseLink = await linkToDatabase(place);
    const consumer = place.consumer({
      preload: COUNTED,
      env: {
        KAFKA_BOOTSTRAP_SERVERS: `${HOST}:${kafkaLink.port}`,
        DATABASE_URL: databaseLink.through(place.databaseUrl),
        ...QUICK_TAKEOVER,
      },
    });
    const sent: Awaited<ReturnType<typeof publish>> = [];
    const disturbances: readonly (readonly [times: number, disturb: () => Promise<void>])[] = [
      [RESETS, async () => {
        // Resets all connections once, in the middle of a COPY.
        let isReset = false;
        databaseLink.onRequest = (bytes) => {
          if (isReset || !Buffer.from(bytes).includes("copy ")) return true;
          isReset = true;
          kafkaLink.reset();
          databaseLink.reset();
          return false;
        };
        sent.push(...await publish(place, sent.length));
        await place.untilCaughtUp();
      }],
      [REBALANCES, async () => {
        const other = place.consumer({ env: QUICK_TAKEOVER });
        await other.untilLogged("group.assigned");
        strictEqual(await other.stop(), 0);
        sent.push(...await publish(place, sent.length));
        await place.untilCaughtUp();
      }],
      [RESTARTS, async () => {
        await stack.postgres.kill();
        await consumer.untilNotReady(/database/);
        await stack.postgres.start();
        sent.push(...await publish(place, sent.length));
        await place.untilCaughtUp();
      }],
    ];
    // The first round is not measured, because the consumer keeps objects that it creates on first use.
    for (const [, disturb] of disturbances) await disturb();
    await consumer.untilReady();
    const before = await heldBy(consumer, place);
    for (const [times, disturb] of disturbances) {
      for (let time = 0; time < times; time++) await disturb();
      await consumer.untilReady();
      await waitForRelease(before, consumer, place);
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
