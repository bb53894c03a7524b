import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { eventually } from "../../lab/eventually.ts";
import type { Place } from "../../lab/place.ts";
import { readLag, runRound } from "../../workers/consumer/rollup/round.ts";
import { beforeStatements, Feed, openRollup } from "../support/feed.ts";
import { reading } from "../support/judge.ts";
import { waitForLockWait } from "../support/lock_wait.ts";
import { onPlace } from "../support/services.ts";
import { linkToDatabase } from "./links.ts";

const ROUND = { offsets: 1_000 };

Deno.test(
  "rounds apply each change row once, even if only one fits into a round",
  onPlace({ partitions: 0 }, async (place) => {
    await using feed = await Feed.open(place);
    await feed.store(10);
    await feed.judge();
    await using database = openRollup(place);
    strictEqual((await runRound(database, { offsets: 25 })).kind, "applied");
    deepStrictEqual(await waitingChanges(place), [{ changes: 6 }]);
    await feed.judge();
    await feed.store(3);
    ok((await feed.follow({ offsets: 1, rebuildRows: 1 })).every(({ kind }) => kind === "applied"));
    await feed.judgeEnd();
  }),
);

Deno.test(
  "a round does nothing while another one runs, and each change row is applied once",
  onPlace({ partitions: 0 }, async (place) => {
    await using feed = await Feed.open(place);
    await feed.store(6);
    await using second = openRollup(place);
    const outcomes: string[] = [];
    await using first = beforeStatements(openRollup(place), async () => {
      outcomes.push((await runRound(second, ROUND)).kind);
    });
    strictEqual((await runRound(first, ROUND)).kind, "applied");
    ok(outcomes.length > 2);
    deepStrictEqual([...new Set(outcomes)], ["busy"]);
    await feed.judgeEnd();
    strictEqual((await readLag(second)).isNone, true);
  }),
);

Deno.test(
  "a round fails if another round commits after its snapshot, and the next round applies the change rows",
  onPlace({ partitions: 0 }, async (place) => {
    await using feed = await Feed.open(place);
    await feed.store(6);
    await using database = openRollup(place);
    const other = await place.session();
    await other.query("begin; lock table public.schema_migrations in access exclusive mode");
    // The round takes its snapshot, and then waits for this lock to read the schema generation.
    const round = rejects(runRound(database, ROUND), { code: "40001" });
    await waitForLockWait(place);
    await other.query("update public.rollup set committed_at = now(); commit");
    await other.end();
    await round;
    strictEqual((await runRound(database, ROUND)).kind, "applied");
    await feed.judgeEnd();
  }),
);

Deno.test(
  "if the answer to a round's COMMIT is lost, its change rows are applied once",
  onPlace({ partitions: 0 }, async (place) => {
    await using feed = await Feed.open(place);
    await feed.store(6);
    await using link = await linkToDatabase(place);
    await using database = openRollup({ databaseUrl: link.through(place.databaseUrl) });
    const committed = Buffer.from("COMMIT\0");
    link.onAnswer = (bytes) => link.cuts > 0 || !Buffer.from(bytes).includes(committed);
    await rejects(runRound(database, ROUND));
    deepStrictEqual(
      await waitingChanges(place),
      [{ changes: 0 }],
      "PostgreSQL must have committed the round",
    );
    await feed.store(2);
    strictEqual((await runRound(database, ROUND)).kind, "applied");
    await feed.judgeEnd();
  }),
);

Deno.test(
  "a round that fails in its last statement moves no position and changes no minute aggregate",
  onPlace({ partitions: 0 }, async (place) => {
    await using feed = await Feed.open(place);
    await feed.store(6);
    await using database = openRollup(place);
    await using failing = beforeStatements(openRollup(place), (sql) => {
      if (!sql.startsWith("update public.rollup")) return Promise.resolve();
      return Promise.reject(Object.assign(new Error("killed"), { code: "57P01" }));
    });
    await rejects(runRound(failing, ROUND), /killed/);
    deepStrictEqual(await waitingChanges(place), [{ changes: 6 }]);
    await feed.judge();
    strictEqual((await runRound(database, ROUND)).kind, "applied");
    await feed.judgeEnd();
  }),
);

Deno.test(
  "a process that freezes in a round delays the rounds of other processes only for a short time",
  onPlace({ partitions: 0 }, async (place) => {
    await using feed = await Feed.open(place);
    await feed.store(2);
    const [inRound, thawed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await using frozen = beforeStatements(openRollup(place), () => {
      inRound.resolve();
      return thawed.promise;
    });
    const round = rejects(runRound(frozen, ROUND));
    await inRound.promise;
    await using database = openRollup(place);
    strictEqual((await runRound(database, ROUND)).kind, "busy");
    await eventually("a round of another process", async () => {
      return (await runRound(database, ROUND)).kind === "applied";
    }, { withinMs: 30_000 });
    thawed.resolve();
    await round;
    await feed.judgeEnd();
  }),
);

Deno.test(
  "a consumer also applies the change rows of other consumers: with --until-caught-up, and in a last round when it stops",
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
    await consumer.untilReady();
    // The consumer looks for change rows of other consumers only every 5 s, so only its last round can apply these.
    await feed.store(4);
    await consumer.stop();
    await feed.judgeEnd();
  }),
);

Deno.test(
  "after 30 s without a round, a consumer is not ready but alive, and it continues to store readings",
  onPlace({}, async (place) => {
    const consumer = place.consumer();
    await place.publisher.send([reading("c-1", "2026-07-14T09:30:00Z", 70)]);
    await place.untilCaughtUp();
    const holder = await place.session();
    await holder.query("begin; select from public.rollup for update");
    await place.publisher.send([reading("c-2", "2026-07-14T09:30:00Z", 70)]);
    await consumer.untilNotReady(/rollup: changes wait, and no round was committed for \d+ s/);
    strictEqual((await consumer.get("/livez")).status, 200);
    await place.publisher.send([reading("c-3", "2026-07-14T09:30:00Z", 70)]);
    await eventually("a third reading in the table", async () => {
      const [row] = await place.sql("select count(*)::int as rows from public.heartbeats");
      return row?.["rows"] === 3;
    });
    await holder.query("commit");
    await holder.end();
    await consumer.untilReady();
    deepStrictEqual(consumer.events("rollup.stalled").length, 1);
    deepStrictEqual(consumer.events("rollup.recovered").length, 1);
  }),
);

function waitingChanges(place: Place): Promise<unknown> {
  return place.sql("select count(*)::int as changes from public.ingest_changes");
}
