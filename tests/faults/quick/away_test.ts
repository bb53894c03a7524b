import { strictEqual } from "node:assert";
import { onPlace } from "../../support/services.ts";
import { BATCH, PARTITIONS, survives } from "../load.ts";

Deno.test(
  "a consumer is not ready but alive while PostgreSQL is stopped under load, and catches up afterwards",
  onPlace({ partitions: PARTITIONS }, (place) =>
    survives(place, async (load, consumer) => {
      await place.stack.postgres.stop();
      await consumer.notReady(/database: Cannot /);
      await load.grows(40 * BATCH);
      strictEqual((await consumer.get("/livez")).status, 200);
      strictEqual((await consumer.get("/readyz")).status, 503);
      await place.stack.postgres.start();
    })),
);

Deno.test(
  "a consumer is not ready but alive while Kafka is stopped under load, and catches up afterwards",
  onPlace({ partitions: PARTITIONS }, (place) =>
    survives(place, async (_load, consumer) => {
      await place.stack.kafka.stop();
      await consumer.notReady(/(kafka|broker \d+): Cannot /);
      strictEqual((await consumer.get("/livez")).status, 200);
      await place.stack.kafka.start();
    })),
);
