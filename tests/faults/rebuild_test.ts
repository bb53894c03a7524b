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

/** Each statement breaks the chain of change rows. At that time, some rows are applied and others wait. */
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
    "the rollup rebuilds from the readings when a restored database lacks the change rows",
    "truncate public.ingest_changes",
    /no change leads/,
  ],
  [
    "the rollup rebuilds from the readings when a restored database lacks the change rows and the rollup's tables",
    "truncate public.ingest_changes, public.heartbeats_1m, public.customer_latest, public.rollup_positions",
    /no change leads/,
  ],
  [
    "the rollup rebuilds from the readings when somebody moves a stored offset back",
    "update public.ingest_offsets set next_offset = next_offset - 3, stored = stored - 3 where kafka_partition = 0",
    /lead to move 5/,
  ],
  [
    "the rollup rebuilds from the readings when somebody moves a stored offset back below the rollup's position",
    "update public.ingest_offsets set next_offset = first_offset, stored = 0 where kafka_partition = 0",
    /ahead/,
  ],
  [
    "the rollup rebuilds from the readings when somebody moves a stored offset forward",
    "update public.ingest_offsets set next_offset = next_offset + 9, gaps = gaps + 9 where kafka_partition = 1",
    /lead to move 5/,
  ],
  [
    "the rollup rebuilds from the readings when its position is ahead of the ledger",
    "update public.rollup_positions set move = 9, next_offset = 900",
    /ahead/,
  ],
  [
    "the rollup rebuilds from the readings when another program stores a reading without a change row",
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
      ok(
        outcomes.filter(({ kind }) => kind === "minutes rebuilt").length > 2,
        "the rebuild had too few steps",
      );
      await feed.readLedger();
      await feed.judgeEnd();
    }),
  );
}

/** Each statement leaves positions or change rows that contradict the ledger, although no change row waits by the ledger. */
const STRAY: readonly (readonly [name: string, sql: string])[] = [
  [
    "the rollup rebuilds from the readings when the ledger is restored to the rollup's position and later change rows exist",
    "update public.ingest_offsets set moves = 2, next_offset = 112, stored = 12",
  ],
  [
    "the rollup rebuilds from the readings when it has a position for a ledger row that does not exist",
    "insert into public.rollup_positions values (99, 1, 1)",
  ],
  [
    "the rollup rebuilds from the readings when change rows of deleted ledger rows exist, and deletes these rows",
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
      // New ids leave the smallest id unused, so a change row of a deleted ledger row can have it.
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
  "after only the ledger is restored and change rows are ahead of it, the consumer still writes batches",
  onPlace({ partitions: 0 }, async (place) => {
    await using feed = await Feed.open(place);
    await feed.store(4);
    await feed.follow();
    await feed.store(6);
    // This leaves one batch of each partition.
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
    const databaseUrl = await restoreCopy(place);
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

/** @returns the URL of a copy of the place's database, which stands for a restored backup */
async function restoreCopy(place: Place): Promise<string> {
  const copy = `${place.database}_copy`;
  const client = await openClient(place.stack.superuserUrl);
  try {
    // A database with open sessions cannot be copied.
    await eventually("a copy of the database", async () => {
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
  "the rollup rebuilds from the readings when the waiting change rows use too much space",
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
    const outcomes = await feed.follow({ offsets: 40, rebuildRows: 2, bytes: 1 });
    match(outcomes[0]?.kind === "broken" ? outcomes[0].reason : "", /^changes of .* wait/);
    await feed.judgeEnd();
  }),
);

Deno.test(
  "each step of a rebuild deletes skipped change rows, and none is left at the end",
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
    const countChanges = async () => {
      const [row] = await place.sql("select count(*)::int as changes from public.ingest_changes");
      return Number(row?.["changes"]);
    };
    await using database = openRollup(place);
    const outcome = await runRound(database, { offsets: 100, rebuildRows: 2 });
    deepStrictEqual([outcome.kind, "isLast" in outcome && outcome.isLast], ["minutes rebuilt", false]);
    ok(await countChanges() < 2_000);
    await feed.follow();
    strictEqual(await countChanges(), 0);
    await feed.judgeEnd();
  }),
);

Deno.test(
  "a rebuild is correct while the ingest writes and retention drops a day partition but keeps its minute aggregates",
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
    let steps = 0;
    await using database = beforeStatements(openRollup(place), async (sql) => {
      if (sql.includes("delete from public.heartbeats_1m")) {
        steps++;
        await feed.store(1);
      }
      // The rebuild has reached the old day partition. This is the first statement after its snapshot.
      if (steps === 6 && sql.includes("left join public.rollup_positions")) {
        await rejects(drop(), { code: "55P03" });
      }
    });
    const small = { offsets: 100, rebuildRows: 5 };
    while (steps < 7) await runRound(database, small);
    while ((await drop())[0]?.["step"] !== null);
    while (!(await readLag(database)).isNone) await runRound(database, small);
    ok(steps > 9);
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
  "when change rows are deleted while it reads a backlog, a consumer rebuilds meanwhile and ends with correct aggregates",
  onPlace({ partitions: 4 }, async (place) => {
    const sent = await place.publisher.send(backlog(0, 20_000, 4));
    const consumer = place.consumer();
    const more = place.publisher.send(backlog(20_000, 20_000, 4));
    await eventually("a rebuild", async () => {
      await place.sql("delete from public.ingest_changes");
      return consumer.events("rollup.rebuild_began").length > 0;
    });
    sent.push(...await more, ...await place.publisher.send(backlog(40_000, 5_000, 4)));
    await consumer.untilLogged("rollup.rebuild_ended");
    await accountFor(place, sent);
  }),
);
