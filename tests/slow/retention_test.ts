import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert";
// @ts-types="@types/pg"
import type pg from "pg";
import { assertAccountedFor, daysAgo, migrateDatabase } from "../support/days.ts";
import { eventually } from "../../lab/eventually.ts";
import type { Place } from "../../lab/place.ts";
import { onPlace } from "../support/services.ts";

const STATEMENT_TIMEOUT = "57014";
const LONG_AGO = daysAgo(40).slice(0, 10);
const PARTITION = `public.heartbeats_d${LONG_AGO.replaceAll("-", "")}`;
const DROP =
  "select public.drop_old_heartbeat_partition('public.heartbeats', now() - interval '10 days') as step";

/** Stores a day of readings, 40 days ago. Ledger and rollup count them as readings of a topic that no longer exists. */
async function storeDay(place: Place, rows: number): Promise<void> {
  await migrateDatabase(place);
  await place.sql("select public.ensure_heartbeat_partition('public.heartbeats', $1)", [LONG_AGO]);
  await place.sql(
    `insert into public.heartbeats
     select 'c', timestamptz '${LONG_AGO}' + n * interval '50 milliseconds', 70 from generate_series(1, ${rows}) n`,
  );
  await place.sql(
    `with ledger as (
       insert into public.ingest_offsets (topic, topic_id, kafka_partition, first_offset, next_offset, stored)
       values ('earlier', gen_random_uuid(), 0, 0, $1, $1)
    returning id, next_offset
     )
     insert into public.rollup_positions select id, 0, next_offset from ledger`,
    [rows],
  );
}

async function retention(place: Place): Promise<Record<string, unknown>[]> {
  return await place.sql(
    "select partition, dropped_rows::int as dropped, detached from public.heartbeat_retention order by id",
  );
}

/** @returns the partition, null if none is left to drop, or undefined after a statement timeout */
async function step(session: pg.Client): Promise<string | null | undefined> {
  try {
    return (await session.query<{ step: string | null }>(DROP)).rows[0]?.step;
  } catch (error) {
    strictEqual((error as { code?: string }).code, STATEMENT_TIMEOUT, String(error));
    return undefined;
  }
}

Deno.test(
  "a day partition that takes longer to count than the statement timeout is dropped and counted by several sessions",
  onPlace({ partitions: 0 }, async (place) => {
    await storeDay(place, 1_200_000);
    const session = await place.session();
    await session.query("set max_parallel_workers_per_gather = 0");
    const count = () => session.query(`select count(*) from ${PARTITION}`);
    let shortestMs = Infinity;
    for (let time = 0; time < 3; time++) {
      const began = performance.now();
      await count();
      shortestMs = Math.min(shortestMs, performance.now() - began);
    }
    const timeoutMs = Math.ceil(shortestMs / 3);
    await session.query(`set statement_timeout = ${timeoutMs}`);
    await rejects(count(), { code: STATEMENT_TIMEOUT });

    const detach = await eventually("a first step", () => step(session));
    strictEqual(detach, PARTITION);
    const [{ detached = undefined } = {}] = await retention(place);
    deepStrictEqual(await retention(place), [{ partition: PARTITION, dropped: null, detached }]);
    await assertAccountedFor(place, "detached");
    await eventually("a piece to be counted", async () => {
      await step(session);
      const rows = await place.sql("select from public.heartbeat_retention where counted_rows > 0");
      return rows.length > 0;
    });
    deepStrictEqual(await retention(place), [{ partition: PARTITION, dropped: null, detached }]);
    await assertAccountedFor(place, "counted in part");
    await session.end();

    const successor = await place.session();
    await successor.query(`set statement_timeout = ${timeoutMs}`);
    for (let steps = 0; await step(successor) !== null; steps++) ok(steps < 2_000, "the drop does not end");
    await successor.end();
    deepStrictEqual(await retention(place), [{ partition: PARTITION, dropped: 1_200_000, detached: null }]);
    const [{ kept } = {}] = await place.sql("select to_regclass($1) as kept", [`public.${detached}`]);
    strictEqual(kept, null);
    await assertAccountedFor(place, "dropped");
  }),
);

Deno.test(
  "while rows of a day partition are counted, others are created and read; if the consumer is killed, the next one continues",
  onPlace({}, async (place) => {
    await storeDay(place, 50_000);
    await place.sql(
      `create function public.hold_up() returns trigger language plpgsql as
         'begin perform pg_sleep(60); return new; end';
       create trigger hold_up before update of counted_rows on public.heartbeat_retention
          for each row execute function public.hold_up()`,
    );
    const counting = place.consumer({ env: { RETENTION_DAYS: "10" } });
    const [{ pid } = {}] = await eventually("the rows to be counted", async () => {
      const held = await place.sql("select pid from pg_stat_activity where wait_event = 'PgSleep'");
      return held.length > 0 && held;
    });
    const others = await place.session();
    await others.query("set lock_timeout = '1s'");
    const made = await others.query(
      "select public.ensure_heartbeat_partition('public.heartbeats', now() - interval '5 days') as name",
    );
    ok(made.rows[0].name.startsWith("heartbeats_d"));
    deepStrictEqual((await others.query("select from public.heartbeats")).rows, []);
    await others.end();
    await assertAccountedFor(place, "while it is counted");
    counting.kill("SIGKILL");
    await counting.exited;
    await place.sql("select pg_terminate_backend($1)", [pid]);
    await place.sql("drop trigger hold_up on public.heartbeat_retention");
    await assertAccountedFor(place, "killed");

    place.consumer({ env: { RETENTION_DAYS: "10" } });
    await eventually("the next consumer to drop the day partition", async () => {
      const rows = await place.sql("select from public.heartbeat_retention where dropped_rows is null");
      return rows.length === 0;
    });
    deepStrictEqual(await retention(place), [{ partition: PARTITION, dropped: 50_000, detached: null }]);
    await assertAccountedFor(place, "dropped");
  }),
);
