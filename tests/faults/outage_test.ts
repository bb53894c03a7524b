/** Servers that die and fall silent under load. An outage rejects nothing, shows in readiness, and is caught up with. */
import { strictEqual } from "node:assert";
import { eventually } from "../../lab/eventually.ts";
import { onPlace } from "../support/services.ts";
import { BATCH, PARTITIONS, stored, survives } from "./load.ts";

Deno.test(
  "PostgreSQL killed under load: nothing lost, nothing twice",
  onPlace({ partitions: PARTITIONS }, (place) =>
    survives(place, async (load, consumer) => {
      for (let time = 0; time < 3; time++) {
        const before = await stored(place);
        await place.stack.postgres.kill();
        await consumer.notReady(/database: Cannot /);
        await load.grows(4 * BATCH);
        await place.stack.postgres.start();
        await eventually("progress after the crash", async () => await stored(place) > before);
      }
    })),
);

Deno.test(
  "Kafka killed under load: nothing acknowledged is lost, nothing twice",
  onPlace({ partitions: PARTITIONS }, (place) =>
    survives(place, async (_load, consumer) => {
      await place.stack.kafka.kill();
      await consumer.notReady(/(kafka|broker \d+): Cannot /);
      await place.stack.kafka.start();
    })),
);

Deno.test(
  "a Kafka that keeps its connections and says nothing turns readiness red, and reading goes on when it speaks again",
  onPlace({ partitions: PARTITIONS }, (place) =>
    survives(place, async (_load, consumer) => {
      await place.stack.kafka.freeze();
      await consumer.notReady(/(kafka|broker \d+): Cannot /);
      strictEqual((await consumer.get("/livez")).status, 200);
      await place.stack.kafka.thaw();
    })),
);
