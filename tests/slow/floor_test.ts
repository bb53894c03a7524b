import { deepStrictEqual, match, strictEqual } from "node:assert";
import { assertAccountedFor, DAY_MS, migrateDatabase } from "../support/days.ts";
import { eventually } from "../../lab/eventually.ts";
import { bad, type IntendedReading, judge, reading } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import { QUICK_TAKEOVER } from "../support/quick_takeover.ts";
import { onPlace } from "../support/services.ts";
import { waitForLockWait } from "../support/lock_wait.ts";

const DROP = "select public.drop_old_heartbeat_partition('public.heartbeats', now() - interval '10 days')";

function minuteOf(daysAgo: number, count: number): IntendedReading[] {
  const noon = Math.floor(Date.now() / DAY_MS - daysAgo) * DAY_MS + DAY_MS / 2;
  return Array.from({ length: count }, (_, index) => {
    return reading("a", new Date(noon + index).toISOString(), 70);
  });
}

// Dropping a day partition takes several steps.
async function dropOld(place: Place): Promise<void> {
  while ((await place.sql(`${DROP} as step`))[0]?.["step"] !== null);
}

function tooOld(readings: readonly IntendedReading[]) {
  return readings.map(({ value }) => bad("too_old", value));
}

async function counts(place: Place): Promise<unknown> {
  const [row] = await place.sql(
    `select (select count(*)::int from public.heartbeats) as rows,
            (select coalesce(sum(readings), 0)::int from public.heartbeats_1m) as in_minutes,
            (select count(*)::int from public.heartbeat_rejects where reason = 'too_old') as too_old`,
  );
  return row;
}

Deno.test(
  "a consumer rejects replayed readings of a dropped day even after RETENTION_DAYS was raised",
  onPlace({}, async (place) => {
    const day = minuteOf(40, 10);
    await place.publisher.send(day);
    await place.consumeAll();
    const keeping = place.consumer({ env: { RETENTION_DAYS: "10" } });
    await keeping.untilLogged("table.partition_dropped");
    await keeping.stop();
    for (const env of [{ RETENTION_DAYS: "100" }, {}]) {
      await place.publisher.send(tooOld(day));
      const consumer = await place.consumeAll({ env });
      // A `too_old` reject keeps no detail, so only the log says how to load the day again.
      const [rejected] = consumer.events("record.rejected");
      match(rejected?.message ?? "", /dropped.*select public\.reopen_heartbeats\('\d{4}-\d\d-\d\d/);
    }
    deepStrictEqual(await counts(place), { rows: 0, in_minutes: 10, too_old: 20 });
    await assertAccountedFor(place);
  }),
);

Deno.test(
  "with MINUTE_RETENTION_DAYS = RETENTION_DAYS, the minute aggregates of a day stay as long as its rows",
  onPlace({}, async (place) => {
    // The first minute of yesterday is older than a day, but the end of yesterday is not.
    const yesterday = Math.floor(Date.now() / DAY_MS - 1) * DAY_MS;
    const sent = Array.from({ length: 6 }, (_, index) => {
      return reading("a", new Date(yesterday + index).toISOString(), 70);
    });
    await place.publisher.send([...sent, ...minuteOf(40, 3)]);
    await place.consumeAll();
    const keeping = place.consumer({ env: { RETENTION_DAYS: "1", MINUTE_RETENTION_DAYS: "1" } });
    // One statement deletes all old minute aggregates, so this is the whole result.
    await eventually("the minute aggregates of the dropped day to be deleted", async () => {
      const rows = await place.sql(
        "select from public.heartbeats_1m where minute < now() - interval '5 days'",
      );
      return rows.length === 0;
    });
    await keeping.stop();
    deepStrictEqual(await counts(place), { rows: 6, in_minutes: 6, too_old: 0 });
    await assertAccountedFor(place);
  }),
);

for (
  const [how, others] of [["in one statement", []], ["in a transaction", [bad("invalid_json", "{")]]] as const
) {
  Deno.test(
    `a batch that is written ${how} while its day is dropped is planned again with the new floor`,
    onPlace({}, async (place) => {
      const day = minuteOf(40, 10);
      await place.publisher.send(day);
      const consumer = place.consumer();
      await place.untilCaughtUp();
      const dropping = await place.session();
      await dropping.query("begin");
      strictEqual(typeof Object.values((await dropping.query(DROP)).rows[0])[0], "string");
      await place.publisher.send([...tooOld(day), ...others]);
      await waitForLockWait(place, "heartbeat-consumer");
      await dropping.query("commit");
      await dropping.end();
      await place.untilCaughtUp();
      strictEqual(await consumer.stop(), 0);
      deepStrictEqual(await counts(place), { rows: 0, in_minutes: 10, too_old: 10 });
      await assertAccountedFor(place);
    }),
  );
}

Deno.test(
  "a range that is reopened while the consumer runs takes readings again, and each is counted once",
  onPlace({}, async (place) => {
    const [older, newer, recent] = [minuteOf(41, 4), minuteOf(40, 5), minuteOf(1, 6)];
    await place.publisher.send([...older, ...newer, ...recent]);
    const consumer = place.consumer();
    await place.untilCaughtUp();
    await dropOld(place);
    // After these rejects the consumer knows the floor.
    await place.publisher.send(tooOld(newer));
    await place.untilCaughtUp();
    deepStrictEqual(await counts(place), { rows: 6, in_minutes: 15, too_old: 5 });
    const since = newer[0]?.value.timestamp.slice(0, 10);
    const [floor] = await place.sql<{ day: string }>(
      "select to_char(public.reopen_heartbeats($1::date) at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as day",
      [since],
    );
    strictEqual(floor?.day, `${since} 00:00`);
    await place.untilCaughtUp();
    deepStrictEqual(await counts(place), { rows: 6, in_minutes: 10, too_old: 5 });
    await place.publisher.send([...newer, ...tooOld(older)]);
    await place.untilCaughtUp();
    strictEqual(await consumer.stop(), 0);
    deepStrictEqual(await counts(place), { rows: 11, in_minutes: 15, too_old: 9 });
    await assertAccountedFor(place);
  }),
);

Deno.test(
  "reopening a range counts the rows that are still stored, and deletes latest readings without a row",
  onPlace({}, async (place) => {
    const dropped = [
      ...minuteOf(40, 3),
      ...minuteOf(40, 3).map(({ value }) => reading("gone", value.timestamp, 71)),
    ];
    await place.publisher.send(dropped);
    await place.consumeAll();
    await dropOld(place);
    // A row in the default partition, which another statement drops.
    const [kept] = minuteOf(40, 1);
    await place.sql("insert into public.heartbeats values ('a', $1, 90, null)", [kept?.value.timestamp]);
    await place.sql(
      `insert into public.ingest_offsets (topic, topic_id, kafka_partition, first_offset, next_offset, stored)
       values ('earlier', gen_random_uuid(), 0, 0, 1, 1)`,
    );
    await place.sql("select public.reopen_heartbeats('-infinity')");
    await place.consumeAll();
    deepStrictEqual(
      await place.sql("select customer_id, readings, heart_rate_sum::int from public.heartbeats_1m"),
      [{ customer_id: "a", readings: 1, heart_rate_sum: 90 }],
    );
    deepStrictEqual(await place.sql("select customer_id, heart_rate from public.customer_latest"), [
      { customer_id: "a", heart_rate: 90 },
    ]);
    const { output } = await place.run("reconcile", ["--no-kafka"]);
    match(output, /ACCOUNTED FOR: 7 offsets = 7 stored/);
  }),
);

for (
  const [when, cursor] of [
    ["no rebuild runs", "null"],
    ["a rebuild is due", "'infinity'"],
    ["a rebuild runs above the range", "date_trunc('minute', now() - interval '1 day', 'UTC')"],
  ] as const
) {
  Deno.test(
    `a range that is reopened while its change rows wait, when ${when}, is counted from its rows`,
    onPlace({}, async (place) => {
      const [waiting, recent] = [minuteOf(40, 5), minuteOf(2, 6)];
      await place.publisher.send(recent);
      await place.consumeAll();
      const round = await place.session();
      await round.query("begin; select from public.rollup for update");
      await place.publisher.send(waiting);
      const consumer = place.consumer({ env: QUICK_TAKEOVER });
      await eventually("the readings to be stored", async () => {
        return (await place.sql("select from public.heartbeats")).length === 11;
      });
      consumer.kill("SIGKILL");
      await consumer.exited;
      await round.end();
      await dropOld(place);
      await place.sql(`update public.rollup set cursor = ${cursor}`);
      await place.sql("select public.reopen_heartbeats('-infinity')");
      await place.publisher.send(waiting.slice(0, 3));
      await place.consumeAll();
      deepStrictEqual(await counts(place), { rows: 9, in_minutes: 9, too_old: 0 });
      await assertAccountedFor(place);
    }),
  );
}

Deno.test(
  "reopening a range waits for no batch and blocks none",
  onPlace({ partitions: 0 }, async (place) => {
    await migrateDatabase(place);
    await place.sql(
      "insert into public.heartbeat_retention (partition, upper_bound, dropped_rows) values ('p', now() - interval '10 days', 0)",
    );
    const [writer, owner] = [await place.session(), await place.session()];
    await writer.query("begin; lock table only public.heartbeats in row exclusive mode");
    await owner.query("begin; set local lock_timeout = '5s'; select public.reopen_heartbeats('-infinity')");
    await writer.query(
      "set local lock_timeout = '5s'; insert into public.heartbeats values ('a', now(), 70, null)",
    );
    await writer.query("commit");
    await owner.query("commit");
    await Promise.all([writer.end(), owner.end()]);
    deepStrictEqual(
      await place.sql("select count(*)::int from public.heartbeat_retention where reopened_at is null"),
      [
        { count: 0 },
      ],
    );
  }),
);

Deno.test(
  "the judge compares minute aggregates and latest readings only above the floor",
  onPlace({}, async (place) => {
    await place.publisher.send(minuteOf(40, 2));
    await place.consumeAll();
    await dropOld(place);
    await place.sql("delete from public.heartbeat_retention");
    await place.sql("update public.ingest_offsets set stored = 0, next_offset = 0, moves = 0");
    await place.sql("delete from public.rollup_positions");
    await judge(place, []).then(
      () => strictEqual("no violation", "minute aggregates without rows"),
      (error) => match(error.message, /minutes that differ from the rows: a @/),
    );
    await place.sql(
      "insert into public.heartbeat_retention (partition, upper_bound, dropped_rows) values ('p', now() - interval '39 days', 0)",
    );
    await judge(place, []);
  }),
);
