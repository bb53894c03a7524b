/** Minutes and latest readings follow what was stored, exactly once, whatever becomes of a round. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { eventually } from "../../lab/eventually.ts";
import type { Place } from "../../lab/place.ts";
import { openLink } from "../../stack/network/link.ts";
import { readLag, runRound } from "../../workers/consumer/rollup/round.ts";
import { between, Feed, openRollup } from "../support/feed.ts";
import { reading } from "../support/judge.ts";
import { onPlace } from "../support/services.ts";

const ROUND = { offsets: 1_000 };

Deno.test(
  "rounds apply all changes, each once, however few fit into one",
  onPlace({ partitions: 0 }, async (place) => {
    await using feed = await Feed.open(place);
    await feed.store(10);
    await feed.judge();
    await using database = openRollup(place);
    strictEqual((await runRound(database, { offsets: 25 })).kind, "applied");
    deepStrictEqual(await waiting(place), [{ changes: 6 }]);
    await feed.judge();
    await feed.store(3);
    ok((await feed.follow({ offsets: 1, sliceRows: 1 })).every(({ kind }) => kind === "applied"));
    await feed.judgeEnd();
  }),
);

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
