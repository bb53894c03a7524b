import { deepStrictEqual, strictEqual } from "node:assert";
import { judgeLatest } from "../../chaos/judge/derived.ts";
import type { Database } from "../../workers/_shared/postgres.ts";
import {
  deleteMinutes,
  emptyRejects,
  oldLatestDeletion,
} from "../../workers/consumer/day_partitions/retention.ts";
import { openPlace } from "../support/batch_writer.ts";
import { assertAccountedFor, daysAgo, migrateDatabase } from "../support/days.ts";
import { eventually } from "../../lab/eventually.ts";
import { bad, type Intended, judge, reading } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import { onPlace } from "../support/services.ts";
import { waitForLockWait } from "../support/lock_wait.ts";

/** @param now the consumer's clock */
async function applyRetention(place: Place, days: { readings?: number; rejects?: number }, now = daysAgo(0)) {
  await using database = openPlace(place);
  const { signal } = new AbortController();
  if (days.rejects !== undefined) await emptyRejects(database, { now, days: days.rejects, signal });
  if (days.readings !== undefined) await oldLatestDeletion()(database);
}

async function floorTenDaysAgo(place: Place): Promise<void> {
  await place.sql(
    `insert into public.heartbeat_retention (partition, upper_bound, dropped_rows)
     values ('dropped', now() - interval '10 days', 0)`,
  );
}

async function emptied(place: Place): Promise<number> {
  const [row] = await place.sql<{ count: string }>(
    "select count(emptied_at) as count from public.heartbeat_rejects",
  );
  return Number(row?.count);
}

Deno.test(
  "a consumer empties old rejects while it ingests, and newer rejects keep their exact bytes",
  onPlace({}, async (place) => {
    const rejects = Array.from({ length: 300 }, (_, index): Intended => {
      return index % 10 === 0 ? bad("tombstone", null, { key: "c" }) : bad("invalid_json", `{"c-${index}`);
    });
    const sent = await place.publisher.send(rejects);
    await place.consumeAll();
    await place.sql(
      "update public.heartbeat_rejects set rejected_at = now() - interval '8 days' where kafka_offset < 250",
    );
    const consumer = place.consumer({ env: { REJECT_RETENTION_DAYS: "7" } });
    await eventually("the old rejects to be emptied", async () => await emptied(place) === 250);
    sent.push(...await place.publisher.send([bad("invalid_json", "{"), reading("a", daysAgo(0), 70)]));
    await place.untilCaughtUp();
    strictEqual(await consumer.stop(), 0);
    strictEqual(await emptied(place), 250);
    const left = await place.sql(
      `select from public.heartbeat_rejects
        where emptied_at is not null and (key is not null or payload is not null or detail <> '')`,
    );
    deepStrictEqual(left, []);
    await judge(place, sent);
    await assertAccountedFor(place);
  }),
);

Deno.test(
  "retention empties and deletes only data that is old by both clocks, and consumers share the work",
  onPlace({}, async (place) => {
    const sent = await place.publisher.send([
      ...Array.from({ length: 500 }, (_, index) => bad("invalid_json", `{"c-${index}`)),
      reading("a", daysAgo(5), 70),
    ]);
    await place.consumeAll();
    await place.sql("update public.heartbeat_rejects set rejected_at = now() - interval '5 days'");
    await applyRetention(place, { readings: 7, rejects: 7 }, daysAgo(-3650));
    strictEqual(await emptied(place), 0);
    await applyRetention(place, { readings: 4, rejects: 4 }, daysAgo(3650));
    strictEqual(await emptied(place), 0);
    await judge(place, sent);
    await Promise.all([applyRetention(place, { rejects: 4 }), applyRetention(place, { rejects: 4 })]);
    strictEqual(await emptied(place), 500);
  }),
);

Deno.test(
  "retention deletes the latest reading of a customer without readings above the floor, and no other",
  onPlace({}, async (place) => {
    await place.publisher.send([
      reading("gone", daysAgo(40), 70),
      reading("here", daysAgo(40), 70),
      reading("here", daysAgo(1), 71),
    ]);
    await place.consumeAll();
    const consumer = place.consumer({ env: { RETENTION_DAYS: "10" } });
    await eventually("one latest reading to be deleted", async () => {
      return (await place.sql("select customer_id from public.customer_latest")).length === 1;
    });
    await consumer.untilLogged("table.partition_dropped");
    strictEqual(await consumer.stop(), 0);
    deepStrictEqual(await judgeLatest((sql, values) => place.sql(sql, values)), []);
  }),
);

Deno.test(
  "retention checks every customer although a single run checks only some",
  onPlace({ partitions: 0 }, async (place) => {
    await migrateDatabase(place);
    await floorTenDaysAgo(place);
    await place.sql(
      `insert into public.customer_latest
       select 'c-' || n, now() - case when n % 2 = 0 then interval '20 days' else interval '1 day' end, 70
         from generate_series(1, 25000) n`,
    );
    await using database = openPlace(place);
    const deleteOldLatest = oldLatestDeletion();
    for (let rounds = 0; rounds < 3; rounds++) await deleteOldLatest(database);
    const [left] = await place.sql(
      `select count(*)::integer as count, count(*) filter (where ts < now() - interval '10 days')::integer as old
         from public.customer_latest`,
    );
    deepStrictEqual(left, { count: 12_500, old: 0 });
  }),
);

const ROUND_STATEMENTS = `
  update public.heartbeats_1m set readings = readings + 1, heart_rate_sum = heart_rate_sum + 70;
  update public.customer_latest set ts = now() where customer_id = 'back'`;

Deno.test(
  "the deletion of old minute aggregates and latest readings waits for a running round, and the round succeeds",
  onPlace({ partitions: 0 }, async (place) => {
    await migrateDatabase(place);
    await floorTenDaysAgo(place);
    await place.sql(
      `insert into public.heartbeats_1m
       select 'c', date_trunc('minute', now() - days * interval '1 day', 'UTC'), 1, 70, 70, 70, 0, 0
         from unnest(array[1, 20]) days;
       insert into public.customer_latest
       select id, now() - interval '20 days', 70 from unnest(array['gone', 'back']) id`,
    );
    const deletions = [
      (database: Database) => oldLatestDeletion()(database),
      (database: Database) =>
        deleteMinutes(database, { now: daysAgo(0), days: 15, signal: new AbortController().signal }),
    ];
    await using database = openPlace(place);
    for (const deleteOld of deletions) {
      const round = await place.session();
      await round.query("begin isolation level repeatable read; select from public.rollup for update");
      const deleting = deleteOld(database);
      await waitForLockWait(place, "test");
      await round.query(ROUND_STATEMENTS);
      await round.query("commit");
      await round.end();
      await deleting;
    }
    deepStrictEqual(
      await place.sql(
        "select readings, minute > now() - interval '10 days' as kept from public.heartbeats_1m",
      ),
      [{ readings: 3, kept: true }],
    );
    deepStrictEqual(await place.sql("select customer_id from public.customer_latest"), [{
      customer_id: "back",
    }]);
  }),
);

Deno.test(
  "the reject of a reading older than RETENTION_DAYS keeps only its offset and its reason",
  onPlace({}, async (place) => {
    const sent = await place.publisher.send([
      bad("too_old", { customer_id: "a", timestamp: daysAgo(11), heart_rate: 70 }),
      bad("invalid_json", "{"),
    ]);
    await place.consumeAll({ env: { RETENTION_DAYS: "10" } });
    await judge(place, sent);
    const rows = await place.sql(
      `select kafka_offset, reason, detail, key, payload, emptied_at is not null as emptied
         from public.heartbeat_rejects where reason = 'too_old'`,
    );
    deepStrictEqual(rows, [
      { kafka_offset: "0", reason: "too_old", detail: "", key: null, payload: null, emptied: true },
    ]);
    await assertAccountedFor(place);
  }),
);
