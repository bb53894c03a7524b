import { strictEqual } from "node:assert";
import { eventually } from "../../lab/eventually.ts";
import { onPlace } from "../support/services.ts";
import { assertSurvives, BATCH, countStored, PARTITIONS } from "./load.ts";

Deno.test(
  "no record is lost or stored twice when PostgreSQL is killed under load",
  onPlace({ partitions: PARTITIONS }, (place) =>
    assertSurvives(place, async (load, consumer) => {
      for (let time = 0; time < 3; time++) {
        const before = await countStored(place);
        await place.stack.postgres.kill();
        await consumer.untilNotReady(/database: Cannot /);
        await load.waitForGrowth(4 * BATCH);
        await place.stack.postgres.start();
        await eventually("progress after the crash", async () => await countStored(place) > before);
      }
    })),
);

Deno.test(
  "no acknowledged record is lost or stored twice when Kafka is killed under load",
  onPlace({ partitions: PARTITIONS }, (place) =>
    assertSurvives(place, async (_load, consumer) => {
      await place.stack.kafka.kill();
      await consumer.untilNotReady(/(kafka|broker \d+): Cannot /);
      await place.stack.kafka.start();
    })),
);

Deno.test(
  "while Kafka is frozen, a consumer is not ready but alive, and it reads on when Kafka answers again",
  onPlace({ partitions: PARTITIONS }, (place) =>
    assertSurvives(place, async (_load, consumer) => {
      await place.stack.kafka.freeze();
      await consumer.untilNotReady(/(kafka|broker \d+): Cannot /);
      strictEqual((await consumer.get("/livez")).status, 200);
      await place.stack.kafka.thaw();
    })),
);
