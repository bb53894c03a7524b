/** A primary that dies and a standby that takes its place, behind one address that moves. */
import { ok, strictEqual } from "node:assert";
import { type Link, openLink } from "../../stack/network/link.ts";
import { type Stack, startStack } from "../../stack/mod.ts";
import { type Standby, startStandby } from "../../stack/standby.ts";
import { eventually } from "../../lab/eventually.ts";
import { createPlace, type Place } from "../../lab/place.ts";
import { accountFor } from "./account.ts";
import { BATCH, PARTITIONS, stored, survives } from "./load.ts";
import { backlog } from "./backlog.ts";

interface Pair {
  /** Everybody comes to the database through the link. */
  readonly place: Place;
  readonly primary: Stack["postgres"];
  readonly standby: Standby;
  /** The address moves to the standby. */
  readonly move: () => void;
}

/** The body of a test with a primary and a standby of its own. */
function onPair(
  options: { synchronous: boolean },
  body: (pair: Pair) => Promise<void>,
): (t: Deno.TestContext) => Promise<void> {
  return async (t) => {
    const home = await Deno.makeTempDir({ prefix: "heartbeat-test-" });
    const stack = await startStack({ home });
    try {
      const primary = stack.postgres;
      const host = "127.0.0.1";
      await using link: Link = await openLink({ host, port: primary.port });
      const behind = {
        ...stack,
        databaseUrl: link.through(stack.databaseUrl),
        superuserUrl: link.through(stack.superuserUrl),
      };
      await using place = await createPlace(behind, t.name, { partitions: PARTITIONS });
      await using standby = await startStandby(stack, options);
      const move = () => {
        link.target = { host, port: standby.service.port };
        link.reset();
      };
      try {
        await body({ place, primary, standby, move });
      } catch (error) {
        throw new Error(place.workersTail(), { cause: error });
      }
    } finally {
      await stack.destroy();
    }
  };
}

/** Where each partition stands, as anybody can read it. */
async function ledger(place: Place): Promise<Map<number, number>> {
  const rows = await place.sql<{ kafka_partition: number; next: string }>(
    "select kafka_partition, next_offset as next from public.ingest_offsets",
  );
  return new Map(rows.map((row) => [row.kafka_partition, Number(row.next)]));
}

Deno.test(
  "a primary killed under load and its synchronous standby promoted: what was acknowledged is there, and once",
  onPair({ synchronous: true }, async ({ place, primary, standby, move }) => {
    await survives(place, async (_load, consumer) => {
      // A commit that the standby has not got is not confirmed, so nobody sees it before it is safe.
      await standby.service.stop();
      await eventually("a commit that waits for the standby", async () => {
        const waiting = await place.sql("select from pg_stat_activity where wait_event = 'SyncRep'");
        return waiting.length > 0;
      });
      const acknowledged = await ledger(place);
      await primary.kill();
      await consumer.notReady(/database: Cannot /);
      await standby.service.start();
      move();
      await consumer.notReady(
        /read-only transaction \(SQLSTATE 25006\); the server is read-only: point DATABASE_URL/,
      );
      strictEqual((await consumer.get("/livez")).status, 200);
      await standby.promote();
      const taken = await ledger(place);
      for (const [partition, next] of acknowledged) {
        ok(
          (taken.get(partition) ?? 0) >= next,
          `partition ${partition} stood at ${next}, now ${taken.get(partition)}`,
        );
      }
      await eventually("progress on the new primary", async () => {
        return [...await ledger(place)].every(([partition, next]) => next > (taken.get(partition) ?? 0));
      });
    });
  }),
);

Deno.test(
  "a standby that lagged is promoted under load: what it had not got is read again from Kafka",
  onPair({ synchronous: false }, async ({ place, primary, standby, move }) => {
    await survives(place, async (load) => {
      await standby.service.stop();
      const had = await stored(place);
      await eventually("rows that the standby has not", async () => await stored(place) > had + 10 * BATCH);
      await load.grows(2 * BATCH);
      await primary.kill();
      await standby.service.start();
      await standby.promote();
      move();
      await eventually("progress", async () => await stored(place) > had + 20 * BATCH);
    });
  }),
);

Deno.test(
  "a standby that lagged is promoted while nothing comes: the consumer notices, and reads again what it had not got",
  onPair({ synchronous: false }, async ({ place, primary, standby, move }) => {
    const consumer = place.consumer();
    const sent = await place.publisher.send(backlog(0, 2_000, PARTITIONS));
    await place.caughtUp();
    await standby.service.stop();
    sent.push(...await place.publisher.send(backlog(2_000, 2_000, PARTITIONS)));
    await place.caughtUp();
    await primary.kill();
    await standby.service.start();
    await standby.promote();
    move();
    await consumer.said("ledger.went_back");
    await accountFor(place, sent);
    await consumer.ready();
    ok(consumer.running, "the same process outlived it");
  }),
);

Deno.test(
  "a standby that never heard of the log is promoted: its ledger is opened anew, and everything read again",
  onPair({ synchronous: false }, async ({ place, primary, standby, move }) => {
    const migrated = place.consumer({ args: ["--migrate-only"] });
    strictEqual(await migrated.exitCode(), 0, migrated.tail());
    await standby.service.stop();
    const consumer = place.consumer();
    const sent = await place.publisher.send(backlog(0, 2_000, PARTITIONS));
    await place.caughtUp();
    await primary.kill();
    await standby.service.start();
    await standby.promote();
    move();
    sent.push(...await place.publisher.send(backlog(2_000, 2_000, PARTITIONS)));
    await accountFor(place, sent);
    ok(consumer.running, "the same process outlived it");
  }),
);
