import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert";
import { assertAccountedFor, daysAgo, migrateDatabase, rowsByPartition } from "../support/days.ts";
import { eventually } from "../../lab/eventually.ts";
import { bad, judge, reading } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import { onPlace } from "../support/services.ts";

const THIS_YEAR = new Date().getUTCFullYear();

function dayName(days: number): string {
  return `heartbeats_d${daysAgo(days).slice(0, 10).replaceAll("-", "")}`;
}

/** @returns SQL for `count` readings: the first at `from`, each other one `step` after the previous one */
function series(count: number, from: string, step: string): string {
  return `insert into public.heartbeats
          select 'c', timestamptz '${from}' + n * interval '${step}', 70 from generate_series(0, ${
    count - 1
  }) n`;
}

/** Stores rows. Ledger and rollup count them as readings of a topic that no longer exists. */
async function store(place: Place, sql: string): Promise<void> {
  await place.sql(
    `with stored as (${sql} returning 1), total as (select count(*) as rows from stored)
     insert into public.ingest_offsets (topic, topic_id, kafka_partition, first_offset, next_offset, stored)
     select 'earlier', gen_random_uuid(), 0, 0, rows, rows from total`,
  );
  await place.sql(
    `insert into public.rollup_positions
     select id, moves, next_offset from public.ingest_offsets where topic = 'earlier'
         on conflict do nothing`,
  );
  await place.sql(
    `insert into public.heartbeats_1m
     select customer_id, date_trunc('minute', ts, 'UTC'), count(*), sum(heart_rate), min(heart_rate), max(heart_rate), 0, 0
       from public.heartbeats group by 1, 2
         on conflict do nothing`,
  );
  await place.sql(
    `insert into public.customer_latest
     select distinct on (customer_id) * from public.heartbeats order by customer_id, ts desc
         on conflict do nothing`,
  );
}

Deno.test(
  "readings of 1,600 years share one day partition, and recent days have their own",
  onPlace({}, async (place) => {
    const years = Array.from({ length: 1_600 }, (_, year) => {
      return reading("c", `${String(400 + year).padStart(4, "0")}-06-01T00:00:00.000001Z`, 70);
    });
    const sent = await place.publisher.send(years);
    await place.consumeAll();
    sent.push(...await place.publisher.send([reading("c", daysAgo(0), 71), reading("c", daysAgo(30), 71)]));
    await place.consumeAll();
    await judge(place, sent);
    deepStrictEqual(await rowsByPartition(place), {
      [`heartbeats_before_${THIS_YEAR - 5}0101`]: 1_600,
      [dayName(30)]: 1,
      [dayName(0)]: 1,
    });
  }),
);

Deno.test(
  "with 800 day partitions, new ones span a longer time, the consumer warns, and sessions can still read all of them",
  onPlace({}, async (place) => {
    await migrateDatabase(place);
    // These are more than two years of day partitions, as there would be without retention.
    for (let hundred = 0; hundred < 8; hundred++) {
      await place.sql(`do $$ declare day timestamptz; begin
        for n in ${hundred * 100 + 1}..${hundred * 100 + 100} loop
          day := date_trunc('day', now() - n * interval '1 day', 'UTC');
          execute format('create table public.heartbeats_d%s partition of public.heartbeats for values from (%L) to (%L)',
            to_char(day at time zone 'UTC', 'YYYYMMDD'), day, day + interval '24 hours');
        end loop; end $$`);
    }
    const sent = await place.publisher.send([reading("c", daysAgo(0), 70), reading("c", daysAgo(900), 70)]);
    const consumer = place.consumer();
    await place.untilCaughtUp();
    const { message } = await consumer.untilLogged("table.partitions_many");
    match(message, /public\.heartbeats has 80\d partitions.*RETENTION_DAYS/);
    const names = Object.keys(await rowsByPartition(place));
    deepStrictEqual(names.map((name) => name.replace(/\d+$/, "")).sort(), [
      // On the first of a month, no day of the new partition's month has a partition of its own.
      new Date().getUTCDate() === 1 ? "heartbeats_m" : "heartbeats_from_",
      "heartbeats_y",
    ]);

    const sessions = await Promise.all(Array.from({ length: 10 }, () => place.session()));
    for (const session of sessions) {
      await session.query("begin");
      strictEqual((await session.query("select from public.heartbeats order by ts desc")).rows.length, 2);
    }
    sent.push(...await place.publisher.send([reading("c", daysAgo(1), 70)]));
    await place.untilCaughtUp();
    await Promise.all(sessions.map((session) => session.end()));
    await judge(place, sent);
    strictEqual(await consumer.metric("heartbeat_retries_total"), 0);
  }),
);

Deno.test(
  "rows that another process left in the default partition are moved to day partitions, in pieces if there are many",
  onPlace({}, async (place) => {
    await migrateDatabase(place);
    await store(place, `insert into public.heartbeats values ('today', '${daysAgo(0)}', 70, null)`);
    const day = daysAgo(20).slice(0, 10);
    await store(place, series(300_001, day, "250 milliseconds"));
    deepStrictEqual(await rowsByPartition(place), { heartbeats_default: 300_002 });
    place.consumer();
    let found: Record<string, number> = {};
    const second = `heartbeats_from_${day.replaceAll("-", "")}_065640250000`;
    const third = `heartbeats_from_${day.replaceAll("-", "")}_135320500000`;
    await eventually("all rows to be in day partitions", async () => {
      found = await rowsByPartition(place);
      return found["heartbeats_default"] === undefined && found[third] !== undefined;
    }, { seen: () => found });
    deepStrictEqual(found, { [dayName(0)]: 1, [dayName(20)]: 100_001, [second]: 100_001, [third]: 99_999 });
    await assertAccountedFor(place);
  }),
);

Deno.test(
  "the rest of a day that would need too many day partitions stays in the default partition until the owner moves it",
  onPlace({ partitions: 0 }, async (place) => {
    await migrateDatabase(place);
    const day = daysAgo(20).slice(0, 10);
    await store(place, series(100_002, day, "250 milliseconds"));
    await place.sql(
      // The table gets as many day partitions that begin in the middle of a day as the function allows.
      `do $do$ begin for n in 1..100 loop
         execute format('create table public.heartbeats_from_%s partition of public.heartbeats for values from (%L) to (%L)',
           n, timestamptz '${daysAgo(60).slice(0, 10)}' + n * interval '1 second',
           timestamptz '${daysAgo(60).slice(0, 10)}' + (n + 1) * interval '1 second');
       end loop; end $do$`,
    );
    const session = await place.session();
    const ensure = `select public.ensure_heartbeat_partition('public.heartbeats', '${day}')`;
    await session.query("set statement_timeout = '60s'");
    await rejects(session.query(ensure), { code: "54000" });
    deepStrictEqual(await rowsByPartition(place), { heartbeats_default: 100_002 });
    await session.query("set statement_timeout = 0");
    await session.query(ensure);
    await session.end();
    deepStrictEqual(await rowsByPartition(place), { [dayName(20)]: 100_002 });
    await assertAccountedFor(place);
  }),
);

Deno.test(
  "old rows in a day partition that also holds newer rows are deleted and counted",
  onPlace({}, async (place) => {
    await migrateDatabase(place);
    await store(place, series(5_000, "1990-01-01", "1 day"));
    // Days older than five years share a day partition, and twelve years are kept.
    const kept = daysAgo(11 * 365);
    await store(place, `insert into public.heartbeats values ('kept', '${kept}', 70, null)`);
    await place.sql("select public.ensure_heartbeat_partition('public.heartbeats', $1)", [kept]);
    const before = `heartbeats_before_${THIS_YEAR - 5}0101`;
    deepStrictEqual(await rowsByPartition(place), { [before]: 5_001 });
    await place.publisher.send([
      bad("too_old", { customer_id: "c", timestamp: daysAgo(13 * 365), heart_rate: 70 }),
      reading("c", daysAgo(1), 70),
    ]);
    place.consumer({ env: { RETENTION_DAYS: `${12 * 365}` } });
    await place.untilCaughtUp();
    await eventually("the old rows to be deleted", async () => {
      const rows = await place.sql("select from public.heartbeats where ts < '2010-01-01'");
      return rows.length === 0;
    });
    deepStrictEqual(await rowsByPartition(place), { [before]: 1, [dayName(1)]: 1 });
    const [bound] = await place.sql(
      `select partition, sum(dropped_rows)::int as rows, max(upper_bound) <= now() - interval '4380 days' as old,
              bool_and(upper_bound = date_trunc('day', upper_bound, 'UTC')) as days
         from public.heartbeat_retention group by 1`,
    );
    deepStrictEqual(bound, { partition: `public.${before}`, rows: 5_000, old: true, days: true });
    await assertAccountedFor(place);
  }),
);

Deno.test(
  "old rows in the default partition are deleted in pieces, and each piece is counted in its transaction",
  onPlace({ partitions: 0 }, async (place) => {
    await migrateDatabase(place);
    await store(
      place,
      `insert into public.heartbeats
       select 'c', now() - (n % 30) * interval '1 day' - n * interval '1 millisecond', 70 from generate_series(1, 60000) n`,
    );
    const bound = "date_trunc('day', now() - interval '10 days', 'UTC')";
    const [{ old = 0 } = {}] = await place.sql<{ old: number }>(
      `select count(*)::int as old from public.heartbeats where ts < ${bound}`,
    );
    ok(old > 30_000);
    const session = await place.session();
    const remove =
      "select public.delete_old_heartbeats('public.heartbeats_default', now() - interval '10 days', $1)::integer as next";
    const writer = await place.session();
    await writer.query("begin; lock table only public.heartbeats in row exclusive mode");
    // The writer may write rows below the new floor.
    await rejects(session.query(remove, [0]), { code: "55P03" }, "the deletion must wait for the writer");
    await writer.end();
    await session.query("set statement_timeout = '400ms'");
    let pieces = 0;
    for (let block: number | null = 0; block !== null; pieces++) {
      const { rows }: { rows: { next: number | null }[] } = await session.query(remove, [block]);
      block = rows[0]?.next ?? null;
      if (pieces < 3) await assertAccountedFor(place);
    }
    await session.end();
    const counted = await place.sql(
      `select partition, dropped_rows::int as rows, upper_bound = ${bound} as day from public.heartbeat_retention`,
    );
    deepStrictEqual(counted, [{ partition: "public.heartbeats_default", rows: old, day: true }]);
    deepStrictEqual(await rowsByPartition(place), { heartbeats_default: 60_000 - old });
    await assertAccountedFor(place);
  }),
);

Deno.test(
  "rows that are deleted while their range is reopened are counted once, even if two sessions announced their day",
  onPlace({ partitions: 0 }, async (place) => {
    await migrateDatabase(place);
    await store(place, series(1_000, daysAgo(20), "1 second"));
    const remove =
      "select public.delete_old_heartbeats('public.heartbeats_default', now() - interval '10 days', 0)::integer as next";
    await place.sql(remove);
    await place.sql(
      `insert into public.heartbeat_retention (partition, upper_bound, dropped_rows)
       select partition, upper_bound, 0 from public.heartbeat_retention`,
    );
    await place.sql(
      `create table public.held ();
       create function public.hold_up() returns trigger language plpgsql as
         'begin while exists (select from pg_class where relname = ''held'') loop perform pg_sleep(0.01); end loop; return null; end';
       create trigger hold_up before delete on public.heartbeats_default execute function public.hold_up()`,
    );
    const waits = (event: string) =>
      eventually(event, async () => {
        const rows = await place.sql(
          "select from pg_stat_activity where datname = current_database() and $1 in (wait_event, wait_event_type)",
          [event],
        );
        return rows.length > 0;
      });
    const [remover, owner] = [await place.session(), await place.session()];
    const removing = remover.query(remove);
    await waits("PgSleep");
    const opening = owner.query("select public.reopen_heartbeats('-infinity')");
    await waits("Lock");
    await place.sql("drop table public.held");
    await Promise.all([removing, opening]);
    await Promise.all([remover.end(), owner.end()]);
    deepStrictEqual(
      await place.sql(
        "select sum(dropped_rows)::int as rows, count(reopened_at)::int as opened from public.heartbeat_retention",
      ),
      [{ rows: 1_000, opened: 2 }],
    );
    await assertAccountedFor(place);
  }),
);
