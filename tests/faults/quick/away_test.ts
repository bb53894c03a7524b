import { strictEqual } from "node:assert";
import { onPlace } from "../../support/services.ts";
import { assertSurvives, BATCH, PARTITIONS } from "../load.ts";

Deno.test(
  "while PostgreSQL is down, a consumer under load is not ready but alive, and it catches up afterwards",
  onPlace({ partitions: PARTITIONS }, (place) =>
    assertSurvives(place, async (load, consumer) => {
      await place.stack.postgres.stop();
      await consumer.untilNotReady(/database: Cannot /);
      await load.waitForGrowth(40 * BATCH);
      strictEqual((await consumer.get("/livez")).status, 200);
      strictEqual((await consumer.get("/readyz")).status, 503);
      await place.stack.postgres.start();
    })),
);

Deno.test(
  "while Kafka is down, a consumer under load is not ready but alive, and it catches up afterwards",
  onPlace({ partitions: PARTITIONS }, (place) =>
    assertSurvives(place, async (_load, consumer) => {
      await place.stack.kafka.stop();
      await consumer.untilNotReady(/(kafka|broker \d+): Cannot /);
      strictEqual((await consumer.get("/livez")).status, 200);
      await place.stack.kafka.start();
    })),
);
