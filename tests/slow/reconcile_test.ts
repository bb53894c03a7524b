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

/** Readings, a duplicate, rejects, and the gaps that a committed and an aborted transaction leave. */
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

/** What somebody did by hand, and what must be said of it. */
const TAMPERED: readonly (readonly [what: string, sql: string, says: RegExp])[] = [
  [
    "a reject that is gone",
    "delete from heartbeat_rejects where kafka_partition = 0 and reason = 'tombstone'",
    /partition 0 of .*: rejected is 2, but heartbeat_rejects has 1 rows: 1 missing/,
  ],
  [
    "a reject at an offset that was not read",
    "update heartbeat_rejects set kafka_offset = 1000000 where kafka_partition = 1",
    /partition 1 of .*: 1 rows of heartbeat_rejects lie outside 0 to 31/,
  ],
  [
    "a row that is gone",
    "delete from heartbeats where customer_id = 'c-0' and ts = '2026-01-01T00:00:07Z'",
    /heartbeats: the ledger's sum of stored is 43, but the table has 42 rows: 1 missing/,
  ],
  [
    "a row too many",
    "insert into heartbeats values ('made up', now(), 72, null)",
    /the table has 44 rows: 1 too many/,
  ],
  [
    "a gap that is gone",
    "delete from ingest_gaps where cause = 'aborted'",
    /partition 1 of .*: gaps is 6, but ingest_gaps has 2 offsets: 4 missing/,
  ],
  [
    "two gaps that overlap",
    "update ingest_gaps set from_offset = from_offset - 1 where cause = 'control' and from_offset = 30",
    /partition 1 of .*: gaps is 6, but ingest_gaps has 7 offsets: 1 too many[^]*1 rows of ingest_gaps overlap/,
  ],
  [
    "a count that was moved",
    "update ingest_offsets set stored = stored + 1, rejected = rejected - 1 where kafka_partition = 0",
    /partition 0 of .*: rejected is 1, but heartbeat_rejects has 2 rows: 1 too many[^]*sum of stored is 44/,
  ],
  [
    "a minute that counts a reading too many",
    "update heartbeats_1m set readings = readings + 1 where customer_id = 'c-0'",
    /customer "c-0", minute 2026-01-01 00:00:00\+00: the rows give 20 readings, heartbeats_1m has 21/,
  ],
  [
    "a minute with another lowest heart rate",
    "update heartbeats_1m set heart_rate_min = 71 where customer_id = 'c-1'",
    /customer "c-1", minute 2026-01-01 00:00:00\+00: the rows give 20 readings, .* 20 with other heart rates/,
  ],
  [
    "a minute that is gone, and one without rows",
    "update heartbeats_1m set minute = minute + interval '2 days' where customer_id = 'c-1'",
    /00:00:00\+00: the rows give 20 readings, heartbeats_1m has 0[^]*03 00:00:00\+00: the rows give 0 readings/,
  ],
  [
    "a latest reading that is another",
    "update customer_latest set heart_rate = 73 where customer_id = 'c-1'",
    /customer "c-1": the latest row is of 2026-01-01 00:00:19\+00, .* with another heart rate/,
  ],
  [
    "a latest reading that is gone, and one of a customer without rows",
    "update customer_latest set customer_id = 'nobody' where customer_id = 'c-0'",
    /customer "c-0": the latest row is of .*, customer_latest has none[^]*"nobody": the latest row is of no time/,
  ],
  [
    "an offset that was moved beyond the log",
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
  "reconcile accounts for every offset, and notices each row and count that was changed by hand",
  onPlace({ partitions: 3 }, async (place, t) => {
    await publishEverything(place);
    const before = await reconcile(place);
    assert.equal(before.code, 1, "without a schema there is nothing to account with");
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
    assert.equal(later.code, 0, "unread records are lag and no difference");
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
  "reconcile finds no difference while a consumer follows the end of the log, whether or not the rollup follows the consumer",
  onPlace({ partitions: 2 }, async (place) => {
    await place.publisher.send(readings(1, "first", 0));
    await place.consumer().ready();
    await place.caughtUp();
    const holding = await place.session();
    let looking = true;
    let published = 1;
    // One record at a time and no pause: the ledger moves, right behind the end, between any two questions.
    const publishing = (async () => {
      for (; looking; published++) {
        await place.publisher.send(readings(1, `c${published}`, published % 2));
      }
    })();
    try {
      for (let look = 0; look < 8; look++) {
        if (look === 4) await holding.query("begin; select from public.rollup for update");
        const { code, problems, rollup } = await reconcileAsJson(place);
        assert.deepEqual([code, problems], [0, []]);
        if (look > 4) assert.ok(rollup.offsetsBehind > 0, "changes wait behind the held lock");
      }
    } finally {
      looking = false;
      await publishing;
      await holding.end();
    }
    await place.caughtUp();
    const { totals } = await reconcileAsJson(place);
    assert.deepEqual([totals.stored, totals.lag], [published, 0]);
  }),
);

Deno.test(
  "reconcile counts in one snapshot: what is committed between two of its queries is not seen by the second",
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
  "reconcile says when Kafka or the database is away, and can leave Kafka out",
  onPlace({ partitions: 1 }, async (place) => {
    await place.publisher.send(readings(10, "c", 0));
    await place.consumeAll();
    const nobody = { KAFKA_BOOTSTRAP_SERVERS: "127.0.0.1:1" };
    const away = await reconcile(place, [], nobody);
    assert.equal(away.code, 1);
    assert.match(
      away.output,
      /NOT COMPARED WITH KAFKA, the tables agree: Cannot read the logs' ends at Kafka 127/,
    );
    const without = await reconcile(place, ["--no-kafka"], nobody);
    assert.equal(without.code, 0);
    assert.match(without.output, /ACCOUNTED FOR: 10 offsets = 10 stored .*; Kafka was not asked/);
    const noDatabase = await reconcile(place, [], { DATABASE_URL: "postgres://u:hush-hush@127.0.0.1:1/d" });
    assert.equal(noDatabase.code, 1);
    assert.match(noDatabase.output, /Cannot recount the tables at PostgreSQL 127.0.0.1:1\/d/);
    assert.doesNotMatch(noDatabase.output, /hush-hush/);
    assert.equal((await reconcile(place, [], { DATABASE_URL: "" })).code, 2);
  }),
);
