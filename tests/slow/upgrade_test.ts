import { deepStrictEqual, strictEqual } from "node:assert";
import { MIGRATIONS } from "../../migrations/mod.ts";
import { openDatabase, sessionLimits } from "../../workers/_shared/postgres.ts";
import { migrate } from "../../workers/consumer/schema/migrate.ts";
import { makeRoles } from "../../workers/consumer/schema/roles.ts";
import { withClient } from "../../stack/postgres/postgres_client.ts";
import type { Place } from "../../lab/place.ts";
import { bad, type Intended, judge, reading } from "../support/judge.ts";
import { NEXT_MIGRATION } from "../support/next_migration.ts";
import { READER_PASSWORD, urlOf, WRITER_PASSWORD } from "../support/roles.ts";
import { onPlace } from "../support/services.ts";

const NEXT_RELEASE = "tests/support/preload/next_release.ts";

/** Returns 2,000 readings of 50 customers on 40 days, and a record that is rejected. */
function readings(heartRate: number): Intended[] {
  const from = Date.parse("2026-01-01T12:00:00Z");
  const day = (n: number) => new Date(from + n % 40 * 86_400_000 + n).toISOString();
  const stored = Array.from({ length: 2_000 }, (_, n) => {
    return reading(`c-${n % 50}`, day(n), heartRate + n % 100, { partition: n % 2 });
  });
  return [...stored, bad("invalid_json", "{")];
}

async function migrateTo(place: Place, breaking: boolean): Promise<string[]> {
  await using database = openDatabase(place.databaseUrl, {
    connections: 1,
    limits: sessionLimits(30_000),
    name: "next release",
  });
  return await migrate(database, [...MIGRATIONS, { ...NEXT_MIGRATION, breaking }]);
}

for (
  const [kind, breaking] of [["that is not breaking, under a running consumer", false], [
    "that is breaking",
    true,
  ]] as const
) {
  Deno.test(
    `a migration ${kind} keeps all data, and the pipeline continues with it`,
    onPlace({ partitions: 2 }, async (place) => {
      const sent = await place.publisher.send(readings(60));
      const old = place.consumer();
      await place.untilCaughtUp();
      const rows = () =>
        place.sql("select customer_id, ts, heart_rate, anomaly from public.heartbeats order by 1, 2");
      const before = await rows();
      strictEqual(before.length, 2_000);
      deepStrictEqual(await migrateTo(place, breaking), [NEXT_MIGRATION.name]);
      deepStrictEqual(await rows(), before);
      const [first] = await place.sql(
        `select count(*)::int as customers, bool_and(first.ts = rows.ts) as right
           from public.customer_first first
           join (select customer_id, min(ts) as ts from public.heartbeats group by 1) rows using (customer_id)`,
      );
      deepStrictEqual(first, { customers: 50, right: true });

      sent.push(...await place.publisher.send([...readings(60), reading("c-1", "2026-03-01T00:00:00Z", 70)]));
      if (breaking) {
        strictEqual(await old.exitCode(), 1);
        await place.consumeAll({ preload: NEXT_RELEASE });
      } else {
        await place.untilCaughtUp();
        strictEqual(await old.stop(), 0);
      }
      await judge(place, sent);
      const [ledger] = await place.sql(
        "select sum(stored)::int as stored, sum(duplicates)::int as duplicates, sum(rejected)::int as rejected from public.ingest_offsets",
      );
      deepStrictEqual(ledger, { stored: 2_001, duplicates: 2_000, rejected: 2 });
    }),
  );
}

Deno.test(
  "migration 0002 waits for no writer, and a reader that exists already can ask for episodes at once",
  onPlace({ partitions: 0 }, async (place) => {
    await place.asSuperuser("alter role heartbeat_user createrole");
    await using database = openDatabase(place.databaseUrl, {
      connections: 1,
      limits: sessionLimits(30_000),
      name: "upgrade",
    });
    deepStrictEqual(await migrate(database, MIGRATIONS.slice(0, 1)), ["0001_create_schema"]);
    await makeRoles(database, { writer: WRITER_PASSWORD, reader: READER_PASSWORD });
    const writer = await place.session();
    await writer.query("begin; insert into public.heartbeats values ('a', now(), 40, 'low')");
    deepStrictEqual(await migrate(database, MIGRATIONS.slice(0, 2)), ["0002_add_anomaly_episodes"]);
    await writer.query("commit");
    await writer.end();
    await withClient(urlOf(place, "heartbeat_reader"), async (client) => {
      const { rows } = await client.query(
        "select anomaly, extreme, readings::int from public.anomaly_episodes('a', now() - interval '1 hour', now())",
      );
      deepStrictEqual(rows, [{ anomaly: "low", extreme: 40, readings: 1 }]);
    });
  }),
);
