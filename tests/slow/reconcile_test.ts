import assert from "node:assert/strict";
import { eventually } from "../../lab/eventually.ts";
import { bad, reading } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import { onPlace } from "../support/services.ts";

interface Outcome {
  readonly accounted: boolean;
  readonly totals: Readonly<Record<string, number | null>>;
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  readonly problems: readonly string[];
  readonly rollup: { readonly offsetsBehind: number };
}

function reconcile(place: Place, args: readonly string[] = [], env: Record<string, string> = {}) {
  return place.run("reconcile", args, env);
}

async function reconcileAsJson(place: Place): Promise<Outcome & { code: number }> {
  const { code, output } = await reconcile(place, ["--json"]);
  return { code, ...JSON.parse(output) };
}

function readings(count: number, customer: string, partition: number) {
  return Array.from({ length: count }, (_, second) => {
    const ts = new Date(Date.UTC(2026, 0, 1) + second * 1000).toISOString();
    return reading(`${customer}-${partition}`, ts, 72, { partition });
  });
}

/** Publishes readings, duplicates, rejects, and the gaps of a committed and an aborted transaction. */
async function publishEverything(place: Place): Promise<void> {
  const { publisher } = place;
  await publisher.send([0, 1].flatMap((partition) => readings(20, "c", partition)));
  await publisher.send([readings(1, "c", 0), readings(1, "c", 1)].flat());
  await publisher.send([
    bad("invalid_json", "{", { partition: 0 }),
    bad("tombstone", null, { partition: 0, key: "k" }),
    bad("invalid_json", "[", { partition: 1 }),
  ]);
  await publisher.transact(readings(3, "committed", 1), "commit");
  await publisher.transact(readings(4, "aborted", 1), "abort");
}

const TAMPERED: readonly (readonly [what: string, sql: string, says: RegExp])[] = [
  [
    "a missing reject",
    "delete from heartbeat_rejects where kafka_partition = 0 and reason = 'tombstone'",
    /partition 0 of .*: rejected is 2, but heartbeat_rejects has 1 rows: 1 missing/,
  ],
  [
    "a reject at an offset that was not read",
    "update heartbeat_rejects set kafka_offset = 1000000 where kafka_partition = 1",
    /partition 1 of .*: 1 rows of heartbeat_rejects lie outside 0 to 31/,
  ],
  [
    "a missing row",
    "delete from heartbeats where customer_id = 'c-0' and ts = '2026-01-01T00:00:07Z'",
    /heartbeats: the ledger's sum of stored is 43, but the table has 42 rows: 1 missing/,
  ],
  [
    "an extra row",
    "insert into heartbeats values ('made up', now(), 72, null)",
    /the table has 44 rows: 1 too many/,
  ],
  [
    "a missing gap",
    "delete from ingest_gaps where cause = 'aborted'",
    /partition 1 of .*: gaps is 6, but ingest_gaps has 2 offsets: 4 missing/,
  ],
  [
    "two gaps that overlap",
    "update ingest_gaps set from_offset = from_offset - 1 where cause = 'control' and from_offset = 30",
    /partition 1 of .*: gaps is 6, but ingest_gaps has 7 offsets: 1 too many[^]*1 rows of ingest_gaps overlap/,
  ],
  [
    "a record that is counted as stored instead of rejected",
    "update ingest_offsets set stored = stored + 1, rejected = rejected - 1 where kafka_partition = 0",
    /partition 0 of .*: rejected is 1, but heartbeat_rejects has 2 rows: 1 too many[^]*sum of stored is 44/,
  ],
  [
    "a minute aggregate with one reading too many",
    "update heartbeats_1m set readings = readings + 1 where customer_id = 'c-0'",
    /customer "c-0", minute 2026-01-01 00:00:00\+00: the rows give 20 readings, heartbeats_1m has 21/,
  ],
  [
    "a minute aggregate with a wrong minimum",
    "update heartbeats_1m set heart_rate_min = 71 where customer_id = 'c-1'",
    /customer "c-1", minute 2026-01-01 00:00:00\+00: the rows give 20 readings, .* 20 with other heart rates/,
  ],
  [
    "a missing minute aggregate, and one without rows",
    "update heartbeats_1m set minute = minute + interval '2 days' where customer_id = 'c-1'",
    /00:00:00\+00: the rows give 20 readings, heartbeats_1m has 0[^]*03 00:00:00\+00: the rows give 0 readings/,
  ],
  [
    "a wrong latest reading",
    "update customer_latest set heart_rate = 73 where customer_id = 'c-1'",
    /customer "c-1": the latest row is of 2026-01-01 00:00:19\+00, .* with another heart rate/,
  ],
  [
    "a missing latest reading, and one of a customer without rows",
    "update customer_latest set customer_id = 'nobody' where customer_id = 'c-0'",
    /customer "c-0": the latest row is of .*, customer_latest has none[^]*"nobody": the latest row is of no time/,
  ],
  [
    "an offset beyond the end of the log",
    "update ingest_offsets set next_offset = next_offset + 9, stored = stored + 9 where kafka_partition = 0",
    /partition 0 of .*: was read to 32, but the log ends at 23: the log lost 9 records/,
  ],
];

const TABLES = ["heartbeat_rejects", "heartbeats", "ingest_gaps", "heartbeats_1m", "customer_latest"];
const KEEP = [...TABLES, "ingest_offsets"].map((name) => `create table kept_${name} as table ${name}`);
const RESTORE = [
  ...TABLES.flatMap((name) => [`delete from ${name}`, `insert into ${name} table kept_${name}`]),
  `update ingest_offsets log set next_offset = kept.next_offset, stored = kept.stored, rejected = kept.rejected
     from kept_ingest_offsets kept where kept.id = log.id`,
];

Deno.test(
  "reconcile accounts for every offset, and notices every row and count that was changed by hand",
  onPlace({ partitions: 3 }, async (place, t) => {
    await publishEverything(place);
    const before = await reconcile(place);
    assert.equal(before.code, 1, "without a schema reconcile must fail");
    assert.match(before.output, /public\.heartbeats" does not exist .*run the migrations/);

    await place.consumeAll();
    const { code, problems, totals, lines } = await reconcileAsJson(place);
    assert.deepEqual(problems, []);
    assert.equal(code, 0);
    assert.deepEqual(totals, { stored: 43, duplicates: 2, rejected: 3, gaps: 6, lag: 0, unaccounted: 0 });
    assert.deepEqual(lines.map(({ partition, next, end }) => [partition, next, end]), [
      [0, 23, 23],
      [1, 31, 31],
      [2, 0, 0],
    ]);
    await place.publisher.send(readings(5, "unread", 2));
    const later = await reconcile(place);
    assert.equal(later.code, 0, "unread records must count as lag, not as a difference");
    assert.match(later.output, /^total .* 5 +0$/m);
    assert.match(later.output, /ACCOUNTED FOR: 54 offsets = 43 stored .*; 5 not read yet/);

    await place.sql(KEEP.join(";"));
    for (const [what, sql, says] of TAMPERED) {
      await t.step(`notices ${what}`, async () => {
        await place.sql(sql);
        const { code, output } = await reconcile(place);
        await place.sql(RESTORE.join(";"));
        assert.match(output, says);
        assert.match(output, /NOT ACCOUNTED FOR/);
        assert.equal(code, 1);
      });
    }
    assert.equal((await reconcile(place)).code, 0);
  }),
);

Deno.test(
  "reconcile finds no difference while a consumer reads new records, even if the rollup does not keep up",
  onPlace({ partitions: 2 }, async (place) => {
    await place.publisher.send(readings(1, "first", 0));
    await place.consumer().untilReady();
    await place.untilCaughtUp();
    const holding = await place.session();
    let reconciling = true;
    let published = 1;
    // One record at a time without a pause, so that the ledger moves between any two queries.
    const publishing = (async () => {
      for (; reconciling; published++) {
        await place.publisher.send(readings(1, `c${published}`, published % 2));
      }
    })();
    try {
      for (let run = 0; run < 8; run++) {
        if (run === 4) await holding.query("begin; select from public.rollup for update");
        const { code, problems, rollup } = await reconcileAsJson(place);
        assert.deepEqual([code, problems], [0, []]);
        if (run > 4) assert.ok(rollup.offsetsBehind > 0, "change rows must wait for the lock");
      }
    } finally {
      reconciling = false;
      await publishing;
      await holding.end();
    }
    await place.untilCaughtUp();
    const { totals } = await reconcileAsJson(place);
    assert.deepEqual([totals.stored, totals.lag], [published, 0]);
  }),
);

Deno.test(
  "reconcile counts in one snapshot, so no query sees a later commit than the others",
  onPlace({ partitions: 1 }, async (place) => {
    await place.publisher.send(readings(10, "c", 0));
    await place.consumeAll();
    await place.publisher.send(readings(1, "later", 0));
    const session = await place.session();
    await session.query("begin");
    await session.query("lock table public.ingest_gaps in access exclusive mode");
    const reconciling = reconcileAsJson(place);
    await eventually("reconcile to wait for the table", async () => {
      const waiting = await place.sql(
        "select 1 from pg_stat_activity where application_name = 'heartbeat-reconcile' and wait_event_type = 'Lock'",
      );
      return waiting.length === 1;
    });
    await session.query("insert into public.heartbeats values ('later-0', '2026-01-01T00:00:00Z', 72, null)");
    await session.query(
      "update public.ingest_offsets set next_offset = next_offset + 1, stored = stored + 1",
    );
    await session.query("commit");
    await session.end();
    const { code, problems, totals } = await reconciling;
    assert.deepEqual([code, problems, totals.stored, totals.lag], [0, [], 10, 1]);
  }),
);

Deno.test(
  "reconcile keeps the incarnations of a topic apart",
  onPlace({ partitions: 1 }, async (place) => {
    await place.publisher.send(readings(10, "old", 0));
    await place.consumeAll();
    await place.deleteTopic();
    const deleted = await reconcile(place);
    assert.equal(deleted.code, 0);
    assert.match(deleted.output, /Note: topic .* was deleted/);

    await place.createTopic(1);
    await place.publisher.send(readings(3, "new", 0));
    await place.consumeAll();
    const { code, output } = await reconcile(place);
    assert.equal(code, 0, output);
    assert.match(output, /^topic +incarnation +partition/);
    const topicId = (await place.describeTopic())?.id.slice(0, 8) ?? "";
    assert.match(output, new RegExp(`${topicId} +0 +0 +3 +3 +0 +0 +0 +3 +0 +0$`, "m"));
  }),
);

Deno.test(
  "reconcile says if Kafka or the database is unavailable, and can run without Kafka",
  onPlace({ partitions: 1 }, async (place) => {
    await place.publisher.send(readings(10, "c", 0));
    await place.consumeAll();
    const unavailable = { KAFKA_BOOTSTRAP_SERVERS: "127.0.0.1:1" };
    const away = await reconcile(place, [], unavailable);
    assert.equal(away.code, 1);
    assert.match(
      away.output,
      /NOT COMPARED WITH KAFKA, the tables agree: Cannot read the logs' ends at Kafka 127/,
    );
    const without = await reconcile(place, ["--no-kafka"], unavailable);
    assert.equal(without.code, 0);
    assert.match(without.output, /ACCOUNTED FOR: 10 offsets = 10 stored .*; Kafka was not asked/);
    const noDatabase = await reconcile(place, [], { DATABASE_URL: "postgres://u:hush-hush@127.0.0.1:1/d" });
    assert.equal(noDatabase.code, 1);
    assert.match(noDatabase.output, /Cannot recount the tables at PostgreSQL 127.0.0.1:1\/d/);
    assert.doesNotMatch(noDatabase.output, /hush-hush/);
    assert.equal((await reconcile(place, [], { DATABASE_URL: "" })).code, 2);
  }),
);
