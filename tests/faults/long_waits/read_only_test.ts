import { ok, strictEqual } from "node:assert";
import { eventually } from "../../../lab/eventually.ts";
import type { Place } from "../../../lab/place.ts";
import { onPlace } from "../../support/services.ts";
import { accountFor } from "../account.ts";
import { backlog } from "../backlog.ts";
import { countStored, PARTITIONS } from "../load.ts";

/** The setting also applies to open sessions. */
async function setReadOnly(place: Place, readOnly: boolean): Promise<void> {
  await place.asSuperuser(`alter system set default_transaction_read_only = ${readOnly ? "on" : "off"}`);
  await place.asSuperuser("select pg_reload_conf()");
}

Deno.test(
  "while its database is read-only, a consumer is not ready but alive, and it rejects nothing",
  onPlace({ partitions: PARTITIONS }, async (place) => {
    const consumer = place.consumer();
    const sent = await place.publisher.send(backlog(0, 20_000, PARTITIONS));
    try {
      await eventually("the first rows", async () => await countStored(place) > 0);
      await setReadOnly(place, true);
      sent.push(...await place.publisher.send(backlog(20_000, 20_000, PARTITIONS)));
      await consumer.untilNotReady(/read-only transaction \(SQLSTATE 25006\); the server is read-only/);
      // Transactions from before the change have ended by now.
      const before = await countStored(place);
      const retries = async () => await consumer.metric("heartbeat_retries_total", 'dependency="database"');
      // With pauses of up to 5 s, 20 retries take longer than the 30 s after which liveness could fail.
      const goal = await retries() + 20 * PARTITIONS;
      await eventually("many more retries", async () => {
        const { status, text } = await consumer.get("/livez");
        strictEqual(status, 200, text);
        return await retries() >= goal;
      }, { withinMs: 180_000 });
      strictEqual(await countStored(place), before);
    } finally {
      await setReadOnly(place, false);
    }
    await accountFor(place, sent);
    await consumer.untilReady();
    ok(consumer.running, "the process has ended");
  }),
);

Deno.test(
  "a consumer that starts on a read-only database waits, gives the reason, and migrates when the database is writable",
  onPlace({ partitions: PARTITIONS }, async (place) => {
    await setReadOnly(place, true);
    try {
      const consumer = place.consumer();
      await consumer.untilNotReady(/Cannot migrate the schema .*SQLSTATE 25006\); the server is read-only/);
      strictEqual((await consumer.get("/livez")).status, 200);
      await setReadOnly(place, false);
      await consumer.untilLogged("schema.migrated");
      await consumer.untilReady();
    } finally {
      await setReadOnly(place, false);
    }
  }),
);
