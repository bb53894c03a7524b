/** Readiness when there is nothing to do. */
import { strictEqual } from "node:assert";
import { onPlace } from "../../support/services.ts";

Deno.test(
  "an idle consumer says that the database is away, stays alive, and is ready again when it is back",
  onPlace({}, async (place) => {
    const consumer = place.consumer();
    await consumer.said("partition.opened");
    await consumer.ready();
    await place.stack.postgres.stop();
    await consumer.notReady(/database connection: Cannot ask at PostgreSQL/);
    strictEqual((await consumer.get("/livez")).status, 200);
    await place.stack.postgres.start();
    await consumer.ready();
  }),
);
