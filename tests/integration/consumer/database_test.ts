/** The database: its schema, what it refuses, and several writers at once. */
import { deepStrictEqual, match, strictEqual } from "node:assert";
import { MIGRATIONS } from "../../../migrations/mod.ts";
import { eventually } from "../../support/eventually.ts";
import { bad, judge, reading } from "../../support/judge.ts";
import { onPlace } from "../../support/services.ts";

const T = "2026-07-14T09:30:00Z";

function readings(prefix: string, count: number) {
  return Array.from({ length: count }, (_, index) => reading(`${prefix}-${index}`, T, 60 + index % 100));
}

Deno.test(
  "--migrate-only makes the schema, says so, and a second time finds it current",
  onPlace({ partitions: 0 }, async (place) => {
    const applied = async () => {
      const consumer = place.consumer({ args: ["--migrate-only"] });
      strictEqual(await consumer.exitCode(), 0);
      return (await consumer.said("schema.migrated")).applied;
    };
    deepStrictEqual(await applied(), MIGRATIONS.map(({ name }) => name));
    deepStrictEqual(await applied(), []);
  }),
);

Deno.test(
  "four consumers that start at once on an empty database migrate it once and store everything once",
  onPlace({ partitions: 4 }, async (place) => {
    const consumers = [1, 2, 3, 4].map(() => place.consumer());
    const sent = await place.publisher.send(
      readings("a", 400).map((one, index) => ({ ...one, partition: index % 4 })),
    );
    await place.caughtUp();
    await judge(place, sent);
    const migrated = await Promise.all(consumers.map((consumer) => consumer.said("schema.migrated")));
    strictEqual(migrated.flatMap(({ applied }) => applied).length, MIGRATIONS.length);
  }),
);

Deno.test(
  "a database whose migrations were changed is refused, with what to do",
  onPlace({ partitions: 0 }, async (place) => {
    strictEqual(await place.consumer({ args: ["--migrate-only"] }).exitCode(), 0);
    await place.sql("update public.schema_migrations set checksum = repeat('0', 64)");
    const consumer = place.consumer();
    strictEqual(await consumer.exitCode(), 1);
    match(
      consumer.output,
      /Cannot use the database: 0001_create_ledger_and_heartbeats was applied with checksum 000000000000/,
    );
  }),
);

Deno.test(
  "a newer database is refused when its change is breaking, and used when it is not",
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
  "of 1,000 readings of which the database refuses one, 999 are stored and that one is rejected",
  onPlace({}, async (place) => {
    strictEqual(await place.consumer({ args: ["--migrate-only"] }).exitCode(), 0);
    await place.sql("alter table public.heartbeats add constraint not_this check (customer_id <> 'a-637')");
    const sent = await place.publisher.send(
      readings("a", 1_000).map((one, index) => {
        return index === 637 ? { ...one, fate: { reject: "database_rejected" } } : one;
      }),
    );
    await place.consumeAll();
    await judge(place, sent);
    const [{ detail }] = await place.sql<{ detail: string }>(
      "select detail from public.heartbeat_rejects",
    ) as [
      { detail: string },
    ];
    match(detail, /^PostgreSQL refused it: .*violates check constraint "not_this"/);
  }),
);

Deno.test(
  "a missing right stops the offset where it is, rejects nothing, and is caught up with once it is granted",
  onPlace({}, async (place) => {
    const consumer = place.consumer();
    const sent = await place.publisher.send([...readings("a", 50), bad("invalid_json", "{")]);
    await place.caughtUp();
    await place.sql("revoke insert on public.heartbeats from heartbeat_user");
    sent.push(...await place.publisher.send([...readings("b", 50), bad("invalid_json", "{{")]));
    await consumer.notReady(/database: .*permission denied.*grant the missing right/);
    // The first try failed; nothing changes with the next ones.
    await eventually("more tries", async () => await consumer.metric("heartbeat_retries_total") >= 4);
    deepStrictEqual(await place.sql("select next_offset, rejected from public.ingest_offsets"), [
      { next_offset: "51", rejected: "1" },
    ]);
    strictEqual((await consumer.get("/livez")).status, 200);
    await place.sql("grant insert on public.heartbeats to heartbeat_user");
    await place.caughtUp();
    await judge(place, sent);
    await consumer.ready();
  }),
);

Deno.test(
  "a table that is gone stops the offset where it is, and is written to once it is back",
  onPlace({}, async (place) => {
    const consumer = place.consumer();
    const sent = await place.publisher.send(readings("a", 50));
    await place.caughtUp();
    await place.sql("alter table public.heartbeats rename to elsewhere");
    sent.push(...await place.publisher.send(readings("b", 50)));
    await consumer.notReady(/database: .*does not exist.*restore the missing table/);
    await place.sql("alter table public.elsewhere rename to heartbeats");
    await place.caughtUp();
    await judge(place, sent);
  }),
);

Deno.test(
  "four writers with overlapping keys store each key once and do not deadlock",
  onPlace({ partitions: 8 }, async (place) => {
    const consumers = [1, 2, 3, 4].map(() => place.consumer({ env: { BATCH_MAX_RECORDS: "200" } }));
    await Promise.all(consumers.map((consumer) => consumer.said("group.assigned")));
    const sent = [];
    // The same keys in each partition, each in an order of its own.
    for (let round = 0; round < 10; round++) {
      const keys = Array.from({ length: 300 }, (_, index) => index + round * 100);
      const records = Array.from({ length: 8 }, (_, partition) => {
        return keys.map((_key, index) => {
          const key = keys[(index * (2 * partition * 5 + 1) + partition * 37) % keys.length];
          return reading(`customer-${key}`, T, 70, { partition });
        });
      });
      sent.push(...await place.publisher.send(records.flat()));
    }
    await place.caughtUp();
    await judge(place, sent);
    const [{ deadlocks }] = await place.sql<{ deadlocks: string }>(
      "select deadlocks from pg_stat_database where datname = current_database()",
    ) as [{ deadlocks: string }];
    strictEqual(deadlocks, "0");
  }),
);

Deno.test(
  "a database in another encoding than UTF-8 is refused at the start, with what to do",
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
