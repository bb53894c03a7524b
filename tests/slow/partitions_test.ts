import { deepStrictEqual, doesNotMatch, ok, rejects, strictEqual } from "node:assert";
import { join } from "node:path";
import { assertAccountedFor, daysAgo, migrateDatabase, rowsByPartition } from "../support/days.ts";
import { eventually } from "../../lab/eventually.ts";
import { bad, judge, reading } from "../support/judge.ts";
import { onPlace } from "../support/services.ts";

Deno.test(
  "each reading goes to a day partition, which spans more time for old readings, and none stays in the default partition",
  onPlace({}, async (place) => {
    const sent = await place.publisher.send([
      reading("a", daysAgo(0), 70),
      reading("a", daysAgo(30), 70),
      reading("a", "2024-02-29T12:00:00Z", 70),
      reading("a", "1999-12-31T23:59:59.999999Z", 70),
      reading("a", "0001-01-01T00:00:00Z", 70),
    ]);
    await place.consumeAll();
    await judge(place, sent);
    const names = Object.keys(await rowsByPartition(place));
    const day = (ago: number) => `heartbeats_d${daysAgo(ago).slice(0, 10).replaceAll("-", "")}`;
    deepStrictEqual(
      names.sort(),
      [day(0), day(30), "heartbeats_m202402", `heartbeats_before_${new Date().getUTCFullYear() - 5}0101`]
        .sort(),
    );
  }),
);

Deno.test(
  "rows in the default partition move to their new day partition, and repeated readings are still duplicates",
  onPlace({}, async (place) => {
    await migrateDatabase(place);
    const at = daysAgo(20);
    await place.sql("insert into public.heartbeats values ('early', $1, 70, null)", [at]);
    deepStrictEqual(await rowsByPartition(place), { heartbeats_default: 1 });
    await place.publisher.send([reading("early", at, 70), reading("late", at, 71)]);
    await place.consumeAll();
    const name = `heartbeats_d${at.slice(0, 10).replaceAll("-", "")}`;
    deepStrictEqual(await rowsByPartition(place), { [name]: 2 });
    const [ledger] = await place.sql("select stored, duplicates from public.ingest_offsets");
    deepStrictEqual(ledger, { stored: "1", duplicates: "1" });
  }),
);

Deno.test(
  "day partitions that cannot be created during a dump block nothing, and are created after it",
  onPlace({}, async (place) => {
    await migrateDatabase(place);
    // pg_dump takes these locks.
    const dump = await place.session();
    await dump.query("begin; lock table public.heartbeats, public.heartbeats_default in access share mode");
    const days = Array.from({ length: 20 }, (_, day) => daysAgo(5 + day));
    const sent = await place.publisher.send(days.map((day) => reading("a", day, 70)));
    const consumer = place.consumer();
    await place.untilCaughtUp();
    strictEqual((await consumer.get("/livez")).status, 200);
    deepStrictEqual(await rowsByPartition(place), { heartbeats_default: days.length });
    await dump.end();
    await eventually("all rows to be moved into their days", async () => {
      const names = Object.keys(await rowsByPartition(place));
      return names.length === days.length && !names.includes("heartbeats_default");
    });
    ok(consumer.running, "the consumer must not have restarted");
    await judge(place, sent);
  }),
);

Deno.test(
  "a day partition that cannot be dropped during a dump blocks no session for long, and is dropped after it",
  onPlace({}, async (place) => {
    await place.publisher.send([reading("a", daysAgo(40), 70)]);
    await place.consumeAll();
    // PostgreSQL then logs each session that waits for a lock for a second.
    await place.asSuperuser(`alter database "${place.database}" set log_lock_waits = on`);
    const dump = await place.session();
    await dump.query("begin; lock table public.heartbeats in access share mode");
    const owner = await place.session();
    const drop = () =>
      owner.query(
        "select public.drop_old_heartbeat_partition('public.heartbeats', now() - interval '10 days') as name",
      );
    await rejects(drop(), { code: "55P03" });
    doesNotMatch(
      await Deno.readTextFile(join(place.stack.home, "postgres", "postgres.log")),
      /still waiting for AccessExclusiveLock/,
    );
    await dump.end();
    strictEqual(
      (await drop()).rows[0].name,
      `public.heartbeats_d${daysAgo(40).slice(0, 10).replaceAll("-", "")}`,
    );
    await owner.end();
  }),
);

Deno.test(
  "with RETENTION_DAYS, old day partitions are dropped and counted, and an older reading is rejected as too_old",
  onPlace({}, async (place) => {
    const old = await place.publisher.send([reading("a", daysAgo(40), 70), reading("a", daysAgo(41), 71)]);
    await place.consumeAll();
    await judge(place, old);
    const sent = await place.publisher.send([
      bad("too_old", { customer_id: "a", timestamp: daysAgo(11), heart_rate: 70 }),
      reading("a", daysAgo(9), 72),
    ]);
    const consumer = place.consumer({ env: { RETENTION_DAYS: "10" } });
    await consumer.untilLogged("table.partition_dropped", ({ message }) => /d\d{8}/.test(message));
    await place.untilCaughtUp();
    await consumer.stop();
    const rejects = await place.sql("select reason from public.heartbeat_rejects");
    deepStrictEqual(rejects, [{ reason: "too_old" }]);
    strictEqual(sent.length, 2);
    const [dropped] = await place.sql("select sum(dropped_rows) as rows from public.heartbeat_retention");
    deepStrictEqual(dropped, { rows: "2" });
    await assertAccountedFor(place, "after the drop");
    const [minutes] = await place.sql("select sum(readings) as readings from public.heartbeats_1m");
    deepStrictEqual(minutes, { readings: "3" }, "minute aggregates have their own retention");
  }),
);
