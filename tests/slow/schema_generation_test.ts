import { deepStrictEqual, match, rejects, strictEqual } from "node:assert";
import { SCHEMA_GENERATION } from "../../workers/consumer/schema/migrate.ts";
import { openLedger } from "../../workers/consumer/store/ledger.ts";
import { gapSlice, type Slice } from "../../workers/consumer/kafka_partition/slice.ts";
import { batchWriter, openPlace, sliceOfValues } from "../support/batch_writer.ts";
import { migrateDatabase } from "../support/days.ts";
import { NEXT_MIGRATION } from "../support/next_migration.ts";
import type { Sent } from "../../lab/produce.ts";
import { VALID } from "../support/wire_record.ts";
import { bad, type Intended, judge, reading } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import { onPlace } from "../support/services.ts";
import { waitForLockWait } from "../support/lock_wait.ts";

const NEXT_RELEASE = "tests/support/preload/next_release.ts";
const FENCED = new RegExp(
  `Cannot write to the database: its schema has generation ${NEXT_MIGRATION.version}, expected ${SCHEMA_GENERATION}.*` +
    "newer release: start that one",
);

function readings(prefix: string, partition: number, count = 5) {
  return Array.from({ length: count }, (_, index) => {
    return reading(`${prefix}-${partition}-${index}`, "2026-07-14T09:30:00Z", 60 + index, { partition });
  });
}

async function offsets(place: Place): Promise<unknown> {
  return await place.sql(
    "select kafka_partition, next_offset, stored, rejected, gaps from public.ingest_offsets order by 1",
  );
}

async function migrateAsNextRelease(place: Place): Promise<void> {
  const next = place.consumer({ preload: NEXT_RELEASE, args: ["--migrate-only"] });
  strictEqual(await next.exitCode(), 0, next.output);
}

Deno.test(
  "an older consumer writes nothing after a breaking migration and exits, and the newer one stores all records",
  onPlace({ partitions: 2 }, async (place) => {
    const sent: Sent<Intended>[] = await place.publisher.send([...readings("a", 0), ...readings("a", 1)]);
    const old = place.consumer();
    await place.untilCaughtUp();
    const before = await offsets(place);
    await migrateAsNextRelease(place);
    sent.push(
      ...await place.publisher.send([...readings("b", 0), ...readings("b", 1), bad("invalid_json", "{")]),
    );
    sent.push(...await place.publisher.transact(readings("c", 0), "commit"));
    strictEqual(await old.exitCode(), 1);
    match(old.output, FENCED);
    deepStrictEqual(await offsets(place), before);
    deepStrictEqual(await place.sql("select count(*)::int from public.heartbeats"), [{ count: 10 }]);
    await place.consumeAll({ preload: NEXT_RELEASE });
    await judge(place, sent);
  }),
);

const WRITES: readonly (readonly [what: string, slice: Slice])[] = [
  ["readings alone", sliceOfValues(0, [JSON.stringify(VALID)])],
  ["readings and a reject", sliceOfValues(0, [JSON.stringify(VALID), "{"])],
  ["a reject alone", sliceOfValues(0, ["{"])],
  ["a gap", gapSlice(0, 5, "aborted")],
];

Deno.test(
  "every statement that moves an offset fails under a newer schema generation",
  onPlace({ partitions: 0 }, async (place) => {
    await migrateDatabase(place);
    await using database = openPlace(place);
    const ledger = await openLedger(
      database,
      { topic: "t", topicId: crypto.randomUUID(), partition: 0 },
      0,
      0,
    );
    await migrateAsNextRelease(place);
    const write = batchWriter(database);
    for (const [what, slice] of WRITES) {
      await rejects(write(ledger, slice), { code: "schema_too_new" }, what);
      const [written] = await place.sql(
        `select (select count(*)::int from public.heartbeats) as rows,
                (select count(*)::int from public.ingest_changes) as changes,
                (select count(*)::int from public.heartbeat_rejects) as rejects,
                (select count(*)::int from public.ingest_gaps) as gaps,
                (select sum(next_offset)::int from public.ingest_offsets) as next`,
      );
      deepStrictEqual(written, { rows: 0, changes: 0, rejects: 0, gaps: 0, next: 0 }, what);
    }
    // With the right generation the writes succeed, so nothing else prevented the writes above.
    await place.sql("update public.ingest_offsets set schema_generation = $1", [SCHEMA_GENERATION]);
    strictEqual((await write(ledger, sliceOfValues(0, [JSON.stringify(VALID)]))).kind, "written");
  }),
);

Deno.test(
  "a breaking migration waits for the batch that an older consumer writes, and prevents the next one",
  onPlace({ partitions: 2 }, async (place) => {
    const sent = await place.publisher.send([...readings("a", 0), ...readings("a", 1)]);
    const old = place.consumer();
    await place.untilCaughtUp();
    const holding = await place.session();
    // The consumer first locks the ledger row, and then waits for this uncommitted key.
    await holding.query(
      "begin; insert into public.heartbeats values ('b-0-0', '2026-07-14T09:30:00Z', 60, null)",
    );
    sent.push(...await place.publisher.send(readings("b", 0)));
    await waitForLockWait(place, "heartbeat-consumer");
    const next = place.consumer({ preload: NEXT_RELEASE, args: ["--migrate-only"] });
    await waitForLockWait(place, "heartbeat-migrations");
    sent.push(...await place.publisher.send(readings("c", 1)));
    await holding.query("rollback");
    await holding.end();
    strictEqual(await next.exitCode(), 0, next.output);
    strictEqual(await old.exitCode(), 1);
    match(old.output, FENCED);
    deepStrictEqual(
      await place.sql("select kafka_partition, stored from public.ingest_offsets order by 1"),
      [{ kafka_partition: 0, stored: "10" }, { kafka_partition: 1, stored: "5" }],
    );
    await place.consumeAll({ preload: NEXT_RELEASE });
    await judge(place, sent);
  }),
);

Deno.test(
  "an older consumer without records exits after a breaking migration, and can open no ledger row",
  onPlace({ partitions: 1 }, async (place) => {
    const old = place.consumer();
    await old.untilReady();
    await place.untilCaughtUp();
    await using database = openPlace(place);
    const log = (partition: number) => ({ topic: "t", topicId: crypto.randomUUID(), partition });
    await openLedger(database, log(0), 0, 0);
    await migrateAsNextRelease(place);
    await rejects(openLedger(database, log(1), 0, 0), { code: "schema_too_new" });
    strictEqual(await old.exitCode(), 1);
    match(old.output, FENCED);
    deepStrictEqual(
      await place.sql(
        "select count(*)::int, array_agg(distinct schema_generation) as of from public.ingest_offsets",
      ),
      [{ count: 2, of: [NEXT_MIGRATION.version] }],
    );
  }),
);
