import { deepStrictEqual, match, strictEqual } from "node:assert";
import { withClient } from "../../stack/postgres/postgres_client.ts";
import { daysAgo } from "../support/days.ts";
import { reading } from "../support/judge.ts";
import { assertRefused, makeRoles, urlOf, WRITER_PASSWORD } from "../support/roles.ts";
import { onPlace } from "../support/services.ts";

Deno.test(
  "a migration revokes extra privileges of the roles, or says what a superuser must do",
  onPlace({ partitions: 0 }, async (place) => {
    await makeRoles(place);
    const gifts = `grant create on schema public to public, heartbeat_writer;
       grant update (heart_rate), delete on public.heartbeats to heartbeat_writer;
       grant insert on public.heartbeat_retention to public;
       grant temporary on database "${place.database}" to public, heartbeat_writer;
       alter role heartbeat_reader createrole connection limit -1;
       alter role heartbeat_reader in database "${place.database}" set statement_timeout = 0;
       alter role heartbeat_reader set default_transaction_read_only = off`;
    await withClient(place.superuserUrl, (client) => client.query(gifts));
    await place.sql("grant heartbeat_writer to heartbeat_reader");
    await makeRoles(place);
    await assertRefused(place, "heartbeat_writer", [
      "create table public.mine (id int)",
      "create temporary table mine (id int)",
      "update public.heartbeats set heart_rate = 1",
      "delete from public.heartbeats",
      "insert into public.heartbeat_retention default values",
    ]);
    await assertRefused(place, "heartbeat_reader", ["set role heartbeat_writer"]);
    const settings = await withClient(urlOf(place, "heartbeat_reader"), async (client) => {
      const { rows } = await client.query(
        `select current_setting('statement_timeout') as statement,
                current_setting('idle_in_transaction_session_timeout') as idle,
                current_setting('default_transaction_read_only') as "readOnly",
                rolcreaterole as "makesRoles", rolconnlimit as connections
           from pg_roles where rolname = current_user`,
      );
      return rows;
    });
    deepStrictEqual(settings, [
      { statement: "30s", idle: "1min", readOnly: "on", makesRoles: false, connections: 20 },
    ]);

    await place.asSuperuser("grant pg_write_all_data to heartbeat_writer");
    const again = place.consumer({
      args: ["--migrate-only"],
      env: { HEARTBEAT_WRITER_PASSWORD: WRITER_PASSWORD },
    });
    const revoke = "revoke pg_write_all_data from heartbeat_writer granted by postgres";
    try {
      strictEqual(await again.exitCode(), 1);
      match(again.output, /Cannot make the roles: heartbeat_writer was given more than it should have/);
      strictEqual(again.output.includes(`do it as a superuser: ${revoke}`), true, again.output);
    } finally {
      await place.asSuperuser(revoke);
    }
    await makeRoles(place);
  }),
);

Deno.test(
  "a reader that holds all locks that it can get blocks no migration, no day partition and no write",
  onPlace({}, async (place) => {
    await makeRoles(place);
    await withClient(urlOf(place, "heartbeat_reader"), async (reader) => {
      // Migrations and day partitions no longer use these advisory locks.
      await reader.query(
        "select pg_advisory_lock(7521419864366932340), pg_advisory_lock(7521419864366932341)",
      );
      await makeRoles(place);
      const env = { DATABASE_URL: urlOf(place, "heartbeat_writer") };
      await place.publisher.send([reading("a", daysAgo(3), 70), reading("a", daysAgo(4), 70)]);
      await place.consumeAll({ env });
      const misplaced = () => place.sql("select count(*)::int as rows from public.heartbeats_default");
      deepStrictEqual(await misplaced(), [{ rows: 0 }]);

      await reader.query("set idle_in_transaction_session_timeout = 0");
      await reader.query("begin");
      const tables = await place.sql<{ name: string }>(
        `select oid::regclass::text as name from pg_class
          where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')`,
      );
      let kept = 0;
      for (const { name } of tables) {
        await reader.query("savepoint one");
        const got = await reader.query(`lock table ${name} in access share mode`).then(
          () => true,
          () => false,
        );
        if (got) kept++;
        else await reader.query("rollback to savepoint one");
      }
      strictEqual(kept > 5, true, `the reader locked only ${kept} tables`);
      await makeRoles(place);
      await place.publisher.send([reading("a", daysAgo(5), 70), reading("a", daysAgo(6), 70)]);
      await place.consumeAll({ env });
      // The lock keeps the day partitions from being created, as a dump does.
      deepStrictEqual(await misplaced(), [{ rows: 2 }]);
    });
  }),
);

Deno.test(
  "the functions that run as the owner ignore the writer's own objects and search path",
  onPlace({ partitions: 0 }, async (place) => {
    await makeRoles(place);
    await place.asSuperuser(`grant temporary on database "${place.database}" to heartbeat_writer`);
    await withClient(urlOf(place, "heartbeat_writer"), async (client) => {
      await client.query(`
        create temporary table seen (who text);
        create function pg_temp.note() returns oid language sql volatile
          as $$ insert into seen values (current_user) returning 0::oid $$;
        create temporary view pg_class as
          select pg_temp.note() as oid, 'mine'::name as relname, null::pg_node_tree as relpartbound;
        create temporary view pg_inherits as select pg_temp.note() as inhrelid, pg_temp.note() as inhparent;
        create temporary table heartbeats (ts timestamptz);
        set search_path = pg_temp, pg_catalog, public`);
      const { rows } = await client.query<{ made: string }>(
        "select public.ensure_heartbeat_partition('public.heartbeats', '2026-01-02') as made",
      );
      strictEqual(rows[0]?.made.startsWith("heartbeats_"), true);
      deepStrictEqual(
        (await client.query("select who from seen")).rows,
        [],
        "a function ran an object of the writer",
      );
      const who = await client.query("select current_user as who");
      deepStrictEqual(who.rows, [{ who: "heartbeat_writer" }]);
    });
    const partitions = await place.sql(
      "select pg_get_userbyid(relowner) as owner from pg_class where relname ~ '^heartbeats_[dmy]2026' and relkind = 'r'",
    );
    strictEqual(partitions.length > 0 && partitions.every(({ owner }) => owner === "heartbeat_user"), true);
  }),
);
