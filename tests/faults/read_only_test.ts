/** A database that answers and takes no writes. */
import { ok, strictEqual } from "node:assert";
import { eventually } from "../../lab/eventually.ts";
import type { Place } from "../../lab/place.ts";
import { onPlace } from "../support/services.ts";
import { accountFor } from "./account.ts";
import { backlog } from "./backlog.ts";
import { PARTITIONS, stored } from "./load.ts";

/** As an operator does it in an emergency: for all sessions, those that are open too. */
async function setReadOnly(place: Place, readOnly: boolean): Promise<void> {
  await place.asSuperuser(`alter system set default_transaction_read_only = ${readOnly ? "on" : "off"}`);
  await place.asSuperuser("select pg_reload_conf()");
}

Deno.test(
  "a database that turns read-only under load: not ready because of 25006, alive for as long as it takes, nothing rejected",
  onPlace({ partitions: PARTITIONS }, async (place) => {
    const consumer = place.consumer();
    const sent = await place.publisher.send(backlog(0, 20_000, PARTITIONS));
    try {
      await eventually("the first rows", async () => await stored(place) > 0);
      await setReadOnly(place, true);
      sent.push(...await place.publisher.send(backlog(20_000, 20_000, PARTITIONS)));
      await consumer.notReady(/read-only transaction \(SQLSTATE 25006\); the server is read-only/);
      // By now, what had begun to be written before is.
      const before = await stored(place);
      // Each partition asks every five seconds at most: for longer than a process may be stuck that could get on.
      const retries = async () => await consumer.metric("heartbeat_retries_total", 'dependency="database"');
      const goal = await retries() + 20 * PARTITIONS;
      await eventually("many more tries", async () => {
        const { status, text } = await consumer.get("/livez");
        strictEqual(status, 200, text);
        return await retries() >= goal;
      }, { withinMs: 180_000 });
      strictEqual(await stored(place), before);
    } finally {
      await setReadOnly(place, false);
    }
    await accountFor(place, sent);
    await consumer.ready();
    ok(consumer.running, "the same process outlived it");
  }),
);

Deno.test(
  "a consumer that starts on a read-only database waits, says so, and migrates when it turns writable",
  onPlace({ partitions: PARTITIONS }, async (place) => {
    await setReadOnly(place, true);
    try {
      const consumer = place.consumer();
      await consumer.notReady(/Cannot migrate the schema .*SQLSTATE 25006\); the server is read-only/);
      strictEqual((await consumer.get("/livez")).status, 200);
      await setReadOnly(place, false);
      await consumer.said("schema.migrated");
      await consumer.ready();
    } finally {
      await setReadOnly(place, false);
    }
  }),
);
