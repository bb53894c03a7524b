import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert";
import { eventually } from "../../lab/eventually.ts";
import type { Place } from "../../lab/place.ts";
import { openClient } from "../../stack/postgres/postgres_client.ts";
import { readLag, runRound } from "../../workers/consumer/rollup/round.ts";
import { beforeStatements, Feed, openRollup } from "../support/feed.ts";
import { onPlace } from "../support/services.ts";
import { accountFor } from "./account.ts";
import { backlog } from "./backlog.ts";

function reasonsOf(outcomes: Awaited<ReturnType<Feed["follow"]>>): string {
  return outcomes.flatMap((outcome) => outcome.kind === "broken" ? outcome.reason : []).join();
}

/** Each statement breaks the chain of change rows, while some of them are applied and others wait. */
const BROKEN: readonly (readonly [name: string, sql: string, reason: RegExp])[] = [
  [
    "the rollup rebuilds from the readings when a waiting change row is deleted",
    "delete from public.ingest_changes where move = 4",
    /do not continue/,
  ],
  [
    "the rollup rebuilds from the readings when the last change row is deleted",
    "delete from public.ingest_changes where move = 5",
    /no change leads/,
  ],
  [
    "the rollup rebuilds from the readings when the change rows are not restored",
    "truncate public.ingest_changes",
    /no change leads/,
  ],
  [
    "the rollup rebuilds from the readings when neither the change rows nor its own tables are restored",
    "truncate public.ingest_changes, public.heartbeats_1m, public.customer_latest, public.rollup_positions",
    /no change leads/,
  ],
  [
    "the rollup rebuilds from the readings when a stored offset is moved back by hand",
    "update public.ingest_offsets set next_offset = next_offset - 3, stored = stored - 3 where kafka_partition = 0",
    /lead to move 5/,
  ],
  [
    "the rollup rebuilds from the readings when a stored offset is moved back below its position by hand",
    "update public.ingest_offsets set next_offset = first_offset, stored = 0 where kafka_partition = 0",
    /ahead/,
  ],
  [
    "the rollup rebuilds from the readings when a stored offset is moved forward by hand",
    "update public.ingest_offsets set next_offset = next_offset + 9, gaps = gaps + 9 where kafka_partition = 1",
    /lead to move 5/,
  ],
  [
    "the rollup rebuilds from the readings when its position is ahead of the ledger",
    "update public.rollup_positions set move = 9, next_offset = 900",
    /ahead/,
  ],
  [
    "the rollup rebuilds from the readings when a program writes readings without a change row",
    `insert into public.heartbeats values ('c-0', '2026-07-14T09:31:11Z', 70);
     update public.ingest_offsets set next_offset = next_offset + 1, stored = stored + 1 where kafka_partition = 0`,
    /lead to move 5/,
  ],
];

for (const [name, sql, reason] of BROKEN) {
  Deno.test(
    name,
    onPlace({ partitions: 0 }, async (place) => {
      await using feed = await Feed.open(place);
      await feed.store(4);
      await feed.follow();
      await feed.store(6);
      await place.sql(sql);
      const outcomes = await feed.follow();
      match(reasonsOf(outcomes), reason);
      strictEqual(outcomes.filter(({ kind }) => kind === "broken").length, 1);
      ok(outcomes.filter(({ kind }) => kind === "minutes rebuilt").length > 2, "in several slices");
      await feed.readLedger();
      await feed.judgeEnd();
    }),
  );
}

/** Each statement leaves positions or change rows that do not fit the ledger. By the ledger, no change row waits. */
const STRAY: readonly (readonly [name: string, sql: string])[] = [
  [
    "the rollup rebuilds from the readings when the ledger is restored to its position and later change rows stay",
    "update public.ingest_offsets set moves = 2, next_offset = 112, stored = 12",
  ],
  [
    "the rollup rebuilds from the readings when it has a position for a ledger row that is gone",
    "insert into public.rollup_positions values (99, 1, 1)",
  ],
  [
    "the rollup rebuilds from the readings when change rows of deleted ledger rows are left, and deletes these",
    `insert into public.ingest_changes
     select id, 1, 0, 9, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'
       from unnest(array[99, (select min(id) - 1 from public.ingest_offsets)]) id`,
  ],
];

for (const [name, sql] of STRAY) {
  Deno.test(
    name,
    onPlace({ partitions: 0 }, async (place) => {
      await using feed = await Feed.open(place);
      // No ledger row has the first id any more, so a change row can refer to a smaller id.
      await place.sql("update public.ingest_offsets set id = default");
      await feed.readLedger();
      await feed.store(4);
      await feed.follow();
      await feed.store(4);
      if (!sql.startsWith("update")) await feed.follow();
      await place.sql(sql);
      const outcomes = await feed.follow();
      match(reasonsOf(outcomes), /does not lead to move/);
      await feed.readLedger();
      await feed.store(2);
      await feed.follow();
      await feed.judgeEnd();
    }),
  );
}

Deno.test(
  "the consumer writes batches although change rows are ahead of a ledger that was restored alone",
  onPlace({ partitions: 0 }, async (place) => {
    await using feed = await Feed.open(place);
    await feed.store(4);
    await feed.follow();
    await feed.store(6);
    // One batch of each partition is left.
    await place.sql(
      "delete from public.heartbeats where ts >= '2026-07-14T09:31:00Z' or customer_id = 'c-5'",
    );
    await place.sql("update public.ingest_offsets set moves = 1, next_offset = 106, stored = 6");
    const outcomes = await feed.follow();
    match(reasonsOf(outcomes), /ahead/);
    await feed.readLedger();
    await feed.store(4);
    await feed.follow();
    await feed.judgeEnd();
  }),
);

Deno.test(
  "the rollup needs no rebuild when the whole database is restored",
  onPlace({ partitions: 0 }, async (place) => {
    await using feed = await Feed.open(place);
    await feed.store(4);
    await feed.follow();
    await feed.store(4);
    const databaseUrl = await restored(place);
    await using database = openRollup({ databaseUrl });
    strictEqual((await runRound(database, { offsets: 1_000 })).kind, "applied");
    strictEqual((await readLag(database)).isNone, true);
    const [row] = await database.query(
      `select (select count(*)::int from public.heartbeats) as rows,
              (select sum(readings)::int from public.heartbeats_1m) as in_minutes`,
    );
    deepStrictEqual(row, { rows: 48, in_minutes: 48 });
  }),
);

/** @returns the URL of a copy of the place's database, as a restored backup gives it */
async function restored(place: Place): Promise<string> {
  const copy = `${place.database}_copy`;
  const client = await openClient(place.stack.superuserUrl);
  try {
    await eventually("a moment without sessions", async () => {
      await client.query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", [
        place.database,
      ]);
      await client.query(`create database "${copy}" template "${place.database}" owner heartbeat_user`);
      return true;
    });
  } finally {
    await client.end();
  }
  const url = new URL(place.databaseUrl);
  url.pathname = `/${copy}`;
  return url.href;
}

Deno.test(
  "the rollup rebuilds from the readings when the waiting change rows take too much space",
  onPlace({ partitions: 0 }, async (place) => {
    await using feed = await Feed.open(place);
    await feed.store(6);
    await eventually("the statistics to count the change rows", async () => {
      await place.sql("select pg_stat_force_next_flush()");
      const [row] = await place.sql(
        "select n_live_tup::int as rows from pg_stat_all_tables where relname = 'ingest_changes'",
      );
      return Number(row?.["rows"]) > 0;
    });
    const outcomes = await feed.follow({ offsets: 40, sliceRows: 2, bytes: 1 });
    match(outcomes[0]?.kind === "broken" ? outcomes[0].reason : "", /^changes of .* wait/);
    await feed.judgeEnd();
  }),
);

Deno.test(
  "each slice of a rebuild deletes skipped change rows, and none is left at the end",
  onPlace({ partitions: 0 }, async (place) => {
    await using feed = await Feed.open(place);
    await feed.store(4);
    await feed.follow();
    await place.sql(
      `insert into public.ingest_changes
       select id, -number, 0, 0, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'
         from public.ingest_offsets, generate_series(1, 1000) number;
       update public.rollup set cursor = 'infinity'`,
    );
    const left = async () => {
      const [row] = await place.sql("select count(*)::int as changes from public.ingest_changes");
      return Number(row?.["changes"]);
    };
    await using database = openRollup(place);
    const outcome = await runRound(database, { offsets: 100, sliceRows: 2 });
    deepStrictEqual([outcome.kind, "isLast" in outcome && outcome.isLast], ["minutes rebuilt", false]);
    ok(await left() < 2_000);
    await feed.follow();
    strictEqual(await left(), 0);
    await feed.judgeEnd();
  }),
);

Deno.test(
  "a rebuild is correct while the ingest writes and retention drops a day partition whose minute aggregates stay",
  onPlace({ partitions: 0 }, async (place) => {
    await using feed = await Feed.open(place, "2026-06-30T23:50:00Z");
    for (const day of ["2026-06-30", "2026-07-01"]) {
      await place.sql("select public.ensure_heartbeat_partition('public.heartbeats', $1)", [day]);
    }
    const drop = () =>
      place.sql("select public.drop_old_heartbeat_partition('public.heartbeats', '2026-07-01') as step");
    await feed.store(40);
    await feed.follow();
    await place.sql("update public.rollup set cursor = 'infinity'");
    let slices = 0;
    await using database = beforeStatements(openRollup(place), async (sql) => {
      if (sql.includes("delete from public.heartbeats_1m")) {
        slices++;
        await feed.store(1);
      }
      // The rebuild has reached the old day partition: this is its first statement after the snapshot.
      if (slices === 6 && sql.includes("left join public.rollup_positions")) {
        await rejects(drop(), { code: "55P03" });
      }
    });
    const small = { offsets: 100, sliceRows: 5 };
    while (slices < 7) await runRound(database, small);
    while ((await drop())[0]?.["step"] !== null);
    while (!(await readLag(database)).isNone) await runRound(database, small);
    ok(slices > 9);
    await feed.judgeEnd();
    deepStrictEqual(
      await place.sql(
        `select (select sum(readings) from public.heartbeats_1m) = (select sum(stored) from public.ingest_offsets) as all_kept,
                (select count(*) from public.heartbeats) < (select sum(stored) from public.ingest_offsets) as dropped`,
      ),
      [{ all_kept: true, dropped: true }],
    );
  }),
);

Deno.test(
  "a consumer that loses change rows while it reads a backlog rebuilds at the same time, and ends with correct aggregates",
  onPlace({ partitions: 4 }, async (place) => {
    const sent = await place.publisher.send(backlog(0, 20_000, 4));
    const consumer = place.consumer();
    const more = place.publisher.send(backlog(20_000, 20_000, 4));
    await eventually("a rebuild", async () => {
      await place.sql("delete from public.ingest_changes");
      return consumer.events("rollup.rebuild_began").length > 0;
    });
    sent.push(...await more, ...await place.publisher.send(backlog(40_000, 5_000, 4)));
    await consumer.said("rollup.rebuild_ended");
    await accountFor(place, sent);
  }),
);
