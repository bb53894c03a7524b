import { ok, strictEqual } from "node:assert";
import { type Link, openLink } from "../../stack/network/link.ts";
import { type Stack, startStack } from "../../stack/mod.ts";
import { type Standby, startStandby } from "../../stack/standby.ts";
import { eventually } from "../../lab/eventually.ts";
import { createPlace, type Place } from "../../lab/place.ts";
import { accountFor } from "./account.ts";
import { assertSurvives, BATCH, countStored, PARTITIONS } from "./load.ts";
import { backlog } from "./backlog.ts";

/** A primary, its standby, and a test place (topic, database, workers). All clients of the database use one link. */
interface Pair {
  readonly place: Place;
  readonly primary: Stack["postgres"];
  readonly standby: Standby;
  /** Connects the link to the standby, as a failover moves the address of a database. */
  readonly moveAddress: () => void;
}

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
      const throughLink = {
        ...stack,
        databaseUrl: link.through(stack.databaseUrl),
        superuserUrl: link.through(stack.superuserUrl),
      };
      await using place = await createPlace(throughLink, t.name, { partitions: PARTITIONS });
      await using standby = await startStandby(stack, options);
      const moveAddress = () => {
        link.target = { host, port: standby.service.port };
        link.reset();
      };
      try {
        await body({ place, primary, standby, moveAddress });
      } catch (error) {
        throw new Error(place.workersTail(), { cause: error });
      }
    } finally {
      await stack.destroy();
    }
  };
}

async function nextOffsets(place: Place): Promise<Map<number, number>> {
  const rows = await place.sql<{ kafka_partition: number; next: string }>(
    "select kafka_partition, next_offset as next from public.ingest_offsets",
  );
  return new Map(rows.map((row) => [row.kafka_partition, Number(row.next)]));
}

Deno.test(
  "no committed record is lost when a primary is killed under load and its synchronous standby is promoted",
  onPair({ synchronous: true }, async ({ place, primary, standby, moveAddress }) => {
    await assertSurvives(place, async (_load, consumer) => {
      // PostgreSQL confirms no commit that the standby lacks, and shows it to no session.
      await standby.service.stop();
      await eventually("a commit that waits for the standby", async () => {
        const waiting = await place.sql("select from pg_stat_activity where wait_event = 'SyncRep'");
        return waiting.length > 0;
      });
      const acknowledged = await nextOffsets(place);
      await primary.kill();
      await consumer.untilNotReady(/database: Cannot /);
      await standby.service.start();
      moveAddress();
      await consumer.untilNotReady(
        /read-only transaction \(SQLSTATE 25006\); the server is read-only: point DATABASE_URL/,
      );
      strictEqual((await consumer.get("/livez")).status, 200);
      await standby.promote();
      const promoted = await nextOffsets(place);
      for (const [partition, next] of acknowledged) {
        ok(
          (promoted.get(partition) ?? 0) >= next,
          `partition ${partition}: the next offset fell from ${next} to ${promoted.get(partition)}`,
        );
      }
      await eventually("progress on the new primary", async () => {
        return [...await nextOffsets(place)].every(([partition, next]) =>
          next > (promoted.get(partition) ?? 0)
        );
      });
    });
  }),
);

Deno.test(
  "after a lagging standby is promoted under load, a consumer reads the records that it lacks from Kafka again",
  onPair({ synchronous: false }, async ({ place, primary, standby, moveAddress }) => {
    await assertSurvives(place, async (load) => {
      await standby.service.stop();
      const before = await countStored(place);
      await eventually(
        "rows that the standby lacks",
        async () => await countStored(place) > before + 10 * BATCH,
      );
      await load.waitForGrowth(2 * BATCH);
      await primary.kill();
      await standby.service.start();
      await standby.promote();
      moveAddress();
      await eventually(
        "progress on the new primary",
        async () => await countStored(place) > before + 20 * BATCH,
      );
    });
  }),
);

Deno.test(
  "an idle consumer notices that a lagging standby was promoted, and reads the records that it lacks again",
  onPair({ synchronous: false }, async ({ place, primary, standby, moveAddress }) => {
    const consumer = place.consumer();
    const sent = await place.publisher.send(backlog(0, 2_000, PARTITIONS));
    await place.untilCaughtUp();
    await standby.service.stop();
    sent.push(...await place.publisher.send(backlog(2_000, 2_000, PARTITIONS)));
    await place.untilCaughtUp();
    await primary.kill();
    await standby.service.start();
    await standby.promote();
    moveAddress();
    await consumer.untilLogged("ledger.went_back");
    await accountFor(place, sent);
    await consumer.untilReady();
    ok(consumer.running, "the process has ended");
  }),
);

Deno.test(
  "after a standby without ledger rows is promoted, a consumer reads all records again",
  onPair({ synchronous: false }, async ({ place, primary, standby, moveAddress }) => {
    const migrated = place.consumer({ args: ["--migrate-only"] });
    strictEqual(await migrated.exitCode(), 0, migrated.tail());
    await standby.service.stop();
    const consumer = place.consumer();
    const sent = await place.publisher.send(backlog(0, 2_000, PARTITIONS));
    await place.untilCaughtUp();
    await primary.kill();
    await standby.service.start();
    await standby.promote();
    moveAddress();
    sent.push(...await place.publisher.send(backlog(2_000, 2_000, PARTITIONS)));
    await accountFor(place, sent);
    ok(consumer.running, "the process has ended");
  }),
);
