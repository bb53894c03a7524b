/** Partitions by day: made before their rows come, dropped when they are old, and nothing lost on the way. */
import { deepStrictEqual, doesNotMatch, ok, rejects, strictEqual } from "node:assert";
import { join } from "node:path";
import { eventually } from "../../lab/eventually.ts";
import { bad, judge, reading } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import { onPlace } from "../support/services.ts";

const DAY_MS = 86_400_000;

function daysAgo(days: number): string {
  return new Date(Date.now() - days * DAY_MS).toISOString();
}

async function rowsByPartition(place: Place): Promise<Record<string, number>> {
  const rows = await place.sql<{ name: string; count: string }>(
    "select tableoid::regclass::text as name, count(*) from public.heartbeats group by 1 order by 1",
  );
  return Object.fromEntries(rows.map(({ name, count }) => [name, Number(count)]));
}

Deno.test(
  "a reading of any day finds a partition of its own, coarser when it is old, and none is left in the default",
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
  "rows of a day that sit in the default are moved when the day gets its partition, and still count as duplicates",
  onPlace({}, async (place) => {
    const consumer = place.consumer({ args: ["--migrate-only"] });
    strictEqual(await consumer.exitCode(), 0);
    const at = daysAgo(20);
    // As if no partition could have been made when it came.
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
  "partitions that cannot be made during a dump hold nothing up, and are made with their rows when it is over",
  onPlace({}, async (place) => {
    const migrated = place.consumer({ args: ["--migrate-only"] });
    strictEqual(await migrated.exitCode(), 0);
    // As pg_dump does.
    const dump = await place.session();
    await dump.query("begin; lock table public.heartbeats, public.heartbeats_default in access share mode");
    const days = Array.from({ length: 20 }, (_, day) => daysAgo(5 + day));
    const sent = await place.publisher.send(days.map((day) => reading("a", day, 70)));
    const consumer = place.consumer();
    await place.caughtUp();
    strictEqual((await consumer.get("/livez")).status, 200);
    deepStrictEqual(await rowsByPartition(place), { heartbeats_default: days.length });
    await dump.end();
    await eventually("all rows to be moved into their days", async () => {
      const names = Object.keys(await rowsByPartition(place));
      return names.length === days.length && !names.includes("heartbeats_default");
    });
    ok(consumer.running, "the same process");
    await judge(place, sent);
  }),
);

Deno.test(
  "a partition that cannot be dropped during a dump makes nobody wait behind it for long, and is dropped after it",
  onPlace({}, async (place) => {
    await place.publisher.send([reading("a", daysAgo(40), 70)]);
    await place.consumeAll();
    // Whoever waits for a lock for a second is in the server's log.
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
  "with RETENTION_DAYS old partitions are dropped, counted, and an older reading is rejected as too_old",
  onPlace({}, async (place) => {
    const old = await place.publisher.send([reading("a", daysAgo(40), 70), reading("a", daysAgo(41), 71)]);
    await place.consumeAll();
    await judge(place, old);
    const sent = await place.publisher.send([
      bad("too_old", { customer_id: "a", timestamp: daysAgo(11), heart_rate: 70 }),
      reading("a", daysAgo(9), 72),
    ]);
    const consumer = place.consumer({ env: { RETENTION_DAYS: "10" } });
    await consumer.said("table.partition_dropped", ({ message }) => /d\d{8}/.test(message));
    await place.caughtUp();
    await consumer.stop();
    const rejects = await place.sql("select reason from public.heartbeat_rejects");
    deepStrictEqual(rejects, [{ reason: "too_old" }]);
    strictEqual(sent.length, 2);
    const [dropped] = await place.sql("select sum(dropped_rows) as rows from public.heartbeat_retention");
    deepStrictEqual(dropped, { rows: "2" });
    strictEqual((await place.run("reconcile")).code, 0, "what was dropped is accounted for");
    const [minutes] = await place.sql("select sum(readings) as readings from public.heartbeats_1m");
    deepStrictEqual(minutes, { readings: "3" }, "minutes have a retention of their own");
  }),
);
