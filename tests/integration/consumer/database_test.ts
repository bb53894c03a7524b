import { deepStrictEqual, match, strictEqual } from "node:assert";
import { MIGRATIONS } from "../../../migrations/mod.ts";
import { bad, judge, reading } from "../../support/judge.ts";
import { NEXT_MIGRATION } from "../../support/next_migration.ts";
import { onPlace } from "../../support/services.ts";
import { readings } from "./readings.ts";

Deno.test(
  "--migrate-only creates the schema, logs the migrations, and applies none when it runs again",
  onPlace({ partitions: 0 }, async (place) => {
    const applied = async () => {
      const consumer = place.consumer({ args: ["--migrate-only"] });
      strictEqual(await consumer.exitCode(), 0);
      return (await consumer.untilLogged("schema.migrated")).applied;
    };
    deepStrictEqual(await applied(), MIGRATIONS.map(({ name }) => name));
    deepStrictEqual(await applied(), []);
  }),
);

Deno.test(
  "four consumers that start at the same time on an empty database migrate it once and store each record once",
  onPlace({ partitions: 4 }, async (place) => {
    const consumers = [1, 2, 3, 4].map(() => place.consumer());
    const sent = await place.publisher.send(readings("a", 400, 4));
    await place.untilCaughtUp();
    await judge(place, sent);
    const migrated = await Promise.all(consumers.map((consumer) => consumer.untilLogged("schema.migrated")));
    strictEqual(migrated.flatMap(({ applied }) => applied).length, MIGRATIONS.length);
  }),
);

Deno.test(
  "a consumer refuses a database that has another version of one of its migrations",
  onPlace({ partitions: 0 }, async (place) => {
    const preload = "tests/support/preload/next_release.ts";
    strictEqual(await place.consumer({ args: ["--migrate-only"], preload }).exitCode(), 0);
    await place.sql("update public.schema_migrations set checksum = repeat('0', 64) where version = $1", [
      NEXT_MIGRATION.version,
    ]);
    const consumer = place.consumer({ preload });
    strictEqual(await consumer.exitCode(), 1);
    match(
      consumer.output,
      new RegExp(`Cannot use the database: ${NEXT_MIGRATION.name} was applied with checksum 000000000000`),
    );
  }),
);

for (const name of ["0001_create_ledger_and_heartbeats", "0001_create_schema"]) {
  Deno.test(
    `a consumer refuses a database with a migration ${name} from before the first release, says what to do, and changes nothing`,
    onPlace({ partitions: 0 }, async (place) => {
      strictEqual(await place.consumer({ args: ["--migrate-only"] }).exitCode(), 0);
      await place.sql(
        `update public.schema_migrations set name = '${name}', checksum = repeat('e', 64) where version = 1`,
      );
      const before = await place.sql("select * from public.schema_migrations");
      const consumer = place.consumer();
      strictEqual(await consumer.exitCode(), 1);
      match(
        consumer.output,
        /Cannot use the database at \S+: its schema is older than release 0\.1\.0.*empty database in DATABASE_URL.*deno task up/,
      );
      deepStrictEqual(await place.sql("select * from public.schema_migrations"), before);
    }),
  );
}

Deno.test(
  "a consumer refuses a database with a newer breaking migration, but accepts a newer migration that is not breaking",
  onPlace({}, async (place) => {
    strictEqual(await place.consumer({ args: ["--migrate-only"] }).exitCode(), 0);
    await place.sql(
      `insert into public.schema_migrations (version, name, checksum, breaking) values (999, '0999_later', 'x', false)`,
    );
    await place.consumeAll();
    await place.sql("update public.schema_migrations set breaking = true where version = 999");
    const consumer = place.consumer();
    strictEqual(await consumer.exitCode(), 1);
    match(
      consumer.output,
      /Cannot use the database: its schema has 0999_later, expected at most version \d+/,
    );
  }),
);

Deno.test(
  "a consumer refuses a database whose encoding is not UTF-8, and says what to do",
  onPlace({}, async (place) => {
    const name = `${place.database}_latin1`;
    await place.asSuperuser(
      `create database "${name}" owner heartbeat_user encoding 'LATIN1' locale 'C' template template0`,
    );
    const url = new URL(place.databaseUrl);
    url.pathname = `/${name}`;
    const consumer = place.consumer({ env: { DATABASE_URL: url.href } });
    strictEqual(await consumer.exitCode(), 1);
    match(consumer.output, /its encoding is LATIN1, expected UTF8; create one with/);
  }),
);

Deno.test(
  "a consumer stores every record correctly even if DATABASE_URL sets other formats for numbers and dates",
  onPlace({ partitions: 2 }, async (place) => {
    const settings = [
      "extra_float_digits=-15",
      "array_nulls=off",
      "datestyle=SQL,DMY",
      "intervalstyle=sql_standard",
    ];
    const url = new URL(place.databaseUrl);
    url.searchParams.set("options", settings.map((setting) => `-c ${setting}`).join(" "));
    const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
    const sent = await place.publisher.send([
      reading("a", inDays(0), 70),
      reading("a", inDays(-300), 200, { partition: 1 }),
      // These records give the ledger offsets with two digits, which become wrong if they are rounded to one digit.
      ...Array.from({ length: 25 }, (_, index) => reading("c", inDays(-index / 100), 70)),
      bad("timestamp_in_future", { customer_id: "a", timestamp: inDays(1), heart_rate: 70 }),
    ]);
    sent.push(...await place.publisher.transact([reading("b", inDays(-1), 70, { partition: 1 })], "commit"));
    await place.consumeAll({ env: { DATABASE_URL: url.href } });
    await judge(place, sent);
  }),
);
