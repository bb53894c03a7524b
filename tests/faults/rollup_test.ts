/** Minutes and latest readings follow what was stored, exactly once, and are rebuilt when a chain of changes is broken. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { eventually } from "../../lab/eventually.ts";
import type { Place } from "../../lab/place.ts";
import { openClient } from "../../stack/postgres/postgres_client.ts";
import type { Database } from "../../workers/_shared/postgres.ts";
import { openLink } from "../../stack/network/link.ts";
import { readLag, runRound } from "../../workers/consumer/rollup/round.ts";
import { Feed, openRollup } from "../support/feed.ts";
import { reading } from "../support/judge.ts";
import { onPlace } from "../support/services.ts";

const ROUND = { offsets: 1_000, withSlice: false };

Deno.test(
  "rounds apply all changes, each once, however few fit into one",
  onPlace({ partitions: 0 }, async (place) => {
    await using feed = await Feed.open(place);
    await feed.store(10);
    await feed.judge();
    await using database = openRollup(place);
    strictEqual((await runRound(database, { offsets: 25, withSlice: false })).kind, "applied");
    deepStrictEqual(await waiting(place), [{ changes: 6 }]);
    await feed.judge();
    await feed.store(3);
    ok((await feed.follow({ offsets: 1, withSlice: true })).every(({ kind }) => kind === "applied"));
    await feed.judgeEnd();
  }),
);

/** What breaks a chain in which some changes are applied and others wait, and what is said of it. */
const BROKEN: readonly (readonly [what: string, sql: string, reason: RegExp])[] = [
  [
    "a rebuild counts the rows anew when a change that waits is deleted",
    "delete from public.ingest_changes where move = 4",
    /do not continue/,
  ],
  [
    "a rebuild counts the rows anew when the last change is deleted",
    "delete from public.ingest_changes where move = 5",
    /no change leads/,
  ],
  [
    "a rebuild counts the rows anew when the changes are not restored",
    "truncate public.ingest_changes",
    /no change leads/,
  ],
  [
    "a rebuild counts the rows anew when nothing that is derived is restored",
    "truncate public.ingest_changes, public.heartbeats_1m, public.customer_latest, public.rollup_positions",
    /no change leads/,
  ],
  [
    "a rebuild counts the rows anew when an offset is moved back by hand",
    "update public.ingest_offsets set next_offset = next_offset - 3, stored = stored - 3 where kafka_partition = 0",
    /lead to move 5/,
  ],
  [
    "a rebuild counts the rows anew when an offset is moved back behind the rollup by hand",
    "update public.ingest_offsets set next_offset = first_offset, stored = 0 where kafka_partition = 0",
    /ahead/,
  ],
  [
    "a rebuild counts the rows anew when an offset is moved forward by hand",
    "update public.ingest_offsets set next_offset = next_offset + 9, gaps = gaps + 9 where kafka_partition = 1",
    /lead to move 5/,
  ],
  [
    "a rebuild counts the rows anew when the rollup is ahead",
    "update public.rollup_positions set move = 9, next_offset = 900",
    /ahead/,
  ],
  [
    "a rebuild counts the rows anew when a ledger row is gone",
    "insert into public.rollup_positions values (99, 1, 1)",
    /row 99 is gone/,
  ],
  [
    "a rebuild counts the rows anew when a program writes readings and no change",
    `insert into public.heartbeats values ('c-0', '2026-07-14T09:31:11Z', 70);
     update public.ingest_offsets set next_offset = next_offset + 1, stored = stored + 1 where kafka_partition = 0`,
    /lead to move 5/,
  ],
];

for (const [what, sql, reason] of BROKEN) {
  Deno.test(
    what,
    onPlace({ partitions: 0 }, async (place) => {
      await using feed = await Feed.open(place);
      await feed.store(4);
      await feed.follow();
      await feed.store(6);
      await place.sql(sql);
      const outcomes = await feed.follow();
      match(outcomes.flatMap((one) => one.kind === "broken" ? one.reason : []).join(), reason);
      strictEqual(outcomes.filter(({ kind }) => kind === "broken").length, 1);
      ok(outcomes.filter(({ kind }) => kind === "slice replaced").length > 2, "in several slices");
      // Of what was read again each reading is there already.
      await feed.readLedger();
      await feed.judgeEnd();
    }),
  );
}

Deno.test(
  "a whole database that is restored needs no rebuild",
  onPlace({ partitions: 0 }, async (place) => {
    await using feed = await Feed.open(place);
    await feed.store(4);
    await feed.follow();
    await feed.store(4);
    const databaseUrl = await restored(place);
    await using database = openRollup({ databaseUrl });
    strictEqual((await runRound(database, ROUND)).kind, "applied");
    strictEqual((await readLag(database)).isNone, true);
    const [row] = await database.query(
      `select (select count(*)::int from public.heartbeats) as rows,
              (select sum(readings)::int from public.heartbeats_1m) as in_minutes`,
    );
    deepStrictEqual(row, { rows: 48, in_minutes: 48 });
  }),
);

/** A copy of the place's database, as a backup gives it back. @returns its URL */
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
  "two rounds at once: the second finds the first at it, and each change is counted once",
  onPlace({ partitions: 0 }, async (place) => {
    await using feed = await Feed.open(place);
    await feed.store(6);
    await using second = openRollup(place);
    const others: string[] = [];
    await using first = between(openRollup(place), async () => {
      others.push((await runRound(second, ROUND)).kind);
    });
    strictEqual((await runRound(first, ROUND)).kind, "applied");
    ok(others.length > 2);
    deepStrictEqual([...new Set(others)], ["busy"]);
    await feed.judgeEnd();
    strictEqual((await readLag(second)).isNone, true);
  }),
);

/** Does something before each statement behind the first of a transaction. */
function between(database: Database, work: (sql: string) => Promise<void>): Database {
  return {
    ...database,
    transaction: (run, first) =>
      database.transaction((session, rows) => {
        const query = async (statement: string | { text: string }, values?: unknown[]) => {
          await work(typeof statement === "string" ? statement : statement.text);
          return await session.query(statement, values);
        };
        return run(Object.assign(Object.create(session), { query }), rows);
      }, first),
  };
}

Deno.test(
  "a round whose snapshot is older than another's commit changes nothing, and is done again",
  onPlace({ partitions: 0 }, async (place) => {
    await using feed = await Feed.open(place);
    await feed.store(6);
    await using database = openRollup(place);
    const other = await place.session();
    await other.query("begin; lock table public.schema_migrations in access exclusive mode");
    // Its snapshot is taken, and it waits for the schema's generation.
    const late = rejects(runRound(database, ROUND), { code: "40001" });
    await eventually("a round that waits", async () => {
      const [row] = await place.sql(
        "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      );
      return row !== undefined;
    });
    await other.query("update public.rollup set committed_at = now(); commit");
    await other.end();
    await late;
    strictEqual((await runRound(database, ROUND)).kind, "applied");
    await feed.judgeEnd();
  }),
);

Deno.test(
  "the answer to a round's COMMIT gets lost: its changes are counted once",
  onPlace({ partitions: 0 }, async (place) => {
    await using feed = await Feed.open(place);
    await feed.store(6);
    const { hostname: host, port } = new URL(place.databaseUrl);
    await using link = await openLink({ host, port: Number(port) });
    await using database = openRollup({ databaseUrl: link.through(place.databaseUrl) });
    const committed = Buffer.from("COMMIT\0");
    link.onAnswer = (bytes) => link.cuts > 0 || !Buffer.from(bytes).includes(committed);
    await rejects(runRound(database, ROUND));
    deepStrictEqual(await waiting(place), [{ changes: 0 }], "it did commit");
    await feed.store(2);
    strictEqual((await runRound(database, ROUND)).kind, "applied");
    await feed.judgeEnd();
  }),
);

Deno.test(
  "changes that take too much room are passed over, and the rows counted in their place",
  onPlace({ partitions: 0 }, async (place) => {
    await using feed = await Feed.open(place);
    await feed.store(6);
    await eventually("the server's count of rows", async () => {
      await place.sql("select pg_stat_force_next_flush()");
      const [row] = await place.sql(
        "select n_live_tup::int as rows from pg_stat_all_tables where relname = 'ingest_changes'",
      );
      return Number(row?.["rows"]) > 0;
    });
    const outcomes = await feed.follow({ offsets: 40, withSlice: true, bytes: 1 });
    match(outcomes[0]?.kind === "broken" ? outcomes[0].reason : "", /^changes of .* wait/);
    await feed.judgeEnd();
  }),
);

Deno.test(
  "a round that fails in its last statement moves no position and no minute",
  onPlace({ partitions: 0 }, async (place) => {
    await using feed = await Feed.open(place);
    await feed.store(6);
    await using database = openRollup(place);
    await using failing = between(openRollup(place), (sql) => {
      if (!sql.startsWith("update public.rollup")) return Promise.resolve();
      return Promise.reject(Object.assign(new Error("killed"), { code: "57P01" }));
    });
    await rejects(runRound(failing, ROUND), /killed/);
    deepStrictEqual(await waiting(place), [{ changes: 6 }]);
    await feed.judge();
    strictEqual((await runRound(database, ROUND)).kind, "applied");
    await feed.judgeEnd();
  }),
);

Deno.test(
  "a process that froze in a round holds up others for 10 s",
  onPlace({ partitions: 0 }, async (place) => {
    await using feed = await Feed.open(place);
    await feed.store(2);
    const [freezes, thaws] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await using frozen = between(openRollup(place), () => {
      freezes.resolve();
      return thaws.promise;
    });
    const round = rejects(runRound(frozen, ROUND));
    await freezes.promise;
    await using database = openRollup(place);
    strictEqual((await runRound(database, ROUND)).kind, "busy");
    await eventually("a round of another process", async () => {
      return (await runRound(database, ROUND)).kind === "applied";
    }, { withinMs: 30_000 });
    thaws.resolve();
    await round;
    await feed.judgeEnd();
  }),
);

Deno.test(
  "a rebuild beside the ingest and beside retention, which drops a partition with minutes that stay",
  onPlace({ partitions: 0 }, async (place) => {
    await using feed = await Feed.open(place, "2026-06-30T23:50:00Z");
    for (const at of ["2026-06-30", "2026-07-01"]) {
      await place.sql("select public.ensure_heartbeat_partition('public.heartbeats', $1)", [at]);
    }
    const drop = () =>
      place.sql("select public.drop_old_heartbeat_partition('public.heartbeats', '2026-07-01') as step");
    await feed.store(40);
    await feed.follow();
    await place.sql("update public.rollup set cursor = 'infinity'");
    let refused = 0;
    let slices = 0;
    await using database = between(openRollup(place), async (sql) => {
      if (sql.includes("delete from public.heartbeats_1m")) {
        slices++;
        await feed.store(1);
      }
      // Where the rebuild has reached the partition.
      if (slices > 5 && refused === 0) {
        await rejects(drop(), { code: "55P03" });
        refused++;
      }
    });
    const small = { offsets: 100, withSlice: true };
    while (slices <= 5) await runRound(database, small);
    while ((await drop())[0]?.["step"] !== null);
    while (!(await readLag(database)).isNone) await runRound(database, small);
    ok(slices > 8);
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
  "a consumer follows what others stored, waits for it with --until-caught-up, and does one more round when it stops",
  onPlace({}, async (place) => {
    await using feed = await Feed.open(place);
    await feed.store(4);
    const holder = await place.session();
    await holder.query("begin; select from public.rollup for update");
    const late = place.consumer({ args: ["--until-caught-up", "--timeout", "10"] });
    strictEqual(await late.exitCode(), 1);
    match(late.output, /Cannot catch up within 10 s: .*24 offsets wait for the rollup/);
    await holder.query("commit");
    strictEqual(await place.consumer({ args: ["--until-caught-up"] }).exitCode(), 0);
    await feed.judgeEnd();

    const consumer = place.consumer();
    await consumer.ready();
    // It looks for changes of others each 5 s only.
    await feed.store(4);
    await consumer.stop();
    await feed.judgeEnd();
  }),
);

Deno.test(
  "without a round for 30 s the consumer is not ready, and goes on storing",
  onPlace({}, async (place) => {
    const consumer = place.consumer();
    await place.publisher.send([reading("c-1", "2026-07-14T09:30:00Z", 70)]);
    await place.caughtUp();
    const holder = await place.session();
    await holder.query("begin; select from public.rollup for update");
    await place.publisher.send([reading("c-2", "2026-07-14T09:30:00Z", 70)]);
    await consumer.notReady(/rollup: changes wait, and no round was committed for \d+ s/);
    strictEqual((await consumer.get("/livez")).status, 200);
    await place.publisher.send([reading("c-3", "2026-07-14T09:30:00Z", 70)]);
    await eventually("a third reading in the table", async () => {
      const [row] = await place.sql("select count(*)::int as rows from public.heartbeats");
      return row?.["rows"] === 3;
    });
    await holder.query("commit");
    await holder.end();
    await consumer.ready();
    deepStrictEqual(consumer.events("rollup.stalled").length, 1);
    deepStrictEqual(consumer.events("rollup.recovered").length, 1);
  }),
);

function waiting(place: Place): Promise<unknown> {
  return place.sql("select count(*)::int as changes from public.ingest_changes");
}
