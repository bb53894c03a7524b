import { deepStrictEqual, doesNotMatch, match, rejects, strictEqual } from "node:assert";
import { join } from "node:path";
import { withClient } from "../../stack/postgres/postgres_client.ts";
import { eventually } from "../../lab/eventually.ts";
import { daysAgo } from "../support/days.ts";
import { bad, judge, reading } from "../support/judge.ts";
import {
  assertRefused,
  makeRoles,
  PERMISSION_DENIED,
  READ_ONLY_TRANSACTION,
  READER_PASSWORD,
  statesOf,
  urlOf,
  WRITER_PASSWORD,
} from "../support/roles.ts";
import { onPlace } from "../support/services.ts";

Deno.test(
  "the consumer does all its work as the writer, including day partitions, the rollup and retention",
  onPlace({ partitions: 2 }, async (place) => {
    await makeRoles(place);
    const DATABASE_URL = urlOf(place, "heartbeat_writer");
    const old = await place.publisher.send([reading("a", daysAgo(90), 70), reading("b", daysAgo(0), 71)]);
    await place.consumeAll({ env: { DATABASE_URL } });
    const again = await place.publisher.send([
      reading("b", JSON.parse(old[1]?.value?.toString() ?? "").timestamp, 71),
      reading("b", daysAgo(1), 200),
      reading("c", daysAgo(3), 72, { partition: 1 }),
      bad("invalid_json", "{"),
    ]);
    again.push(...await place.publisher.transact([reading("d", daysAgo(2), 73)], "commit"));
    await place.sql("update public.rollup set cursor = 'infinity'");
    await place.consumeAll({ env: { DATABASE_URL } });
    await judge(place, [...old, ...again]);
    const gaps = await place.sql("select cause from public.ingest_gaps");
    deepStrictEqual(gaps, [{ cause: "control" }]);
    deepStrictEqual(await place.sql("select from public.ingest_changes"), []);
    deepStrictEqual(await place.sql("select cursor from public.rollup"), [{ cursor: null }]);

    await place.sql("update public.heartbeat_rejects set rejected_at = now() - interval '40 days'");
    const days = { RETENTION_DAYS: "10", MINUTE_RETENTION_DAYS: "20", REJECT_RETENTION_DAYS: "30" };
    const keeping = place.consumer({ env: { DATABASE_URL, ...days } });
    await keeping.untilLogged("table.partition_dropped");
    let kept: unknown[] = [];
    const forgotten = async () => {
      kept = await place.sql(
        `select 'minute' as of from public.heartbeats_1m where minute < now() - interval '60 days'
          union all select 'reject' from public.heartbeat_rejects where emptied_at is null
          union all select 'latest' from public.customer_latest where customer_id = 'a'`,
      );
      return kept.length === 0;
    };
    await eventually("old minutes, latest readings and rejects to go", forgotten, { seen: () => kept });
    const ready = () => place.sql("select pid from public.consumer_status where reasons = '{}'");
    await eventually("its status", async () => (await ready())[0]?.pid === keeping.pid);
    strictEqual(await keeping.stop(), 0);
    deepStrictEqual(await ready(), []);
    const owners = await place.sql(
      `select distinct pg_get_userbyid(relowner) as owner from pg_class
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')`,
    );
    deepStrictEqual(owners, [{ owner: "heartbeat_user" }], "also the partitions that the writer had made");
  }),
);

const FORBIDDEN = [
  ["heartbeat_writer", "the writer may not change the schema, take rows away, or see what it does not need", [
    "create table public.mine (id int)",
    "create schema mine",
    "drop table public.heartbeats",
    "alter table public.heartbeats add column mine int",
    "create index mine on public.heartbeats (heart_rate)",
    "truncate public.heartbeats",
    "delete from public.heartbeats",
    "update public.heartbeats set heart_rate = 1",
    "delete from public.ingest_offsets",
    "delete from public.heartbeat_rejects",
    "select payload from public.heartbeat_rejects",
    "update public.heartbeat_rejects set reason = 'mine'",
    "update public.heartbeat_rejects set rejected_at = now()",
    "insert into public.heartbeat_retention (partition, upper_bound, dropped_rows) values ('mine', now(), 0)",
    "delete from public.heartbeat_retention",
    "select public.reopen_heartbeats('-infinity')",
    "insert into public.schema_migrations values (99, 'mine', '', false)",
    "create role mine",
    "alter role heartbeat_user password 'mine'",
    "alter role heartbeat_reader password 'mine'",
    "set role heartbeat_user",
    "select rolpassword from pg_authid",
    "copy (select 1) to program 'true'",
    "create extension file_fdw",
  ]],
  [
    "owner",
    "the owner of the database is no superuser, and reaches no file, program, setting or other database of the server",
    [
      "create role mine superuser",
      "alter role heartbeat_user superuser",
      "set role postgres",
      "select rolpassword from pg_authid",
      "select pg_read_file('postgresql.conf')",
      "copy (select 1) to program 'true'",
      "copy (select 1) to '/tmp/mine'",
      "set session_replication_role = replica",
      "create extension file_fdw",
      "create function public.mine() returns int language c as 'libc', 'abs'",
      "select pg_reload_conf()",
      "grant pg_execute_server_program to heartbeat_user",
    ],
  ],
] as const;

for (const [role, promise, statements] of FORBIDDEN) {
  Deno.test(
    promise,
    onPlace({ partitions: 0 }, async (place) => {
      await makeRoles(place);
      await assertRefused(place, role, statements);
    }),
  );
}

Deno.test(
  "the functions that run as the owner accept only tables of the pipeline",
  onPlace({ partitions: 0 }, async (place) => {
    await makeRoles(place);
    await place.sql("create table public.other (ts timestamptz) partition by range (ts)");
    const calls = [
      "select public.ensure_heartbeat_partition('public.other', now())",
      "select public.drop_old_heartbeat_partition('public.other', now())",
      "select public.heartbeats_without_partition('public.other')",
      "select public.delete_old_heartbeats('public.other', now() - interval '2 days', 0)",
    ];
    await assertRefused(place, "heartbeat_writer", calls, "22023");
    const paths = await place.sql<{ name: string; settings: string[] }>(
      `select proname as name, proconfig as settings from pg_proc
        where pronamespace = 'public'::regnamespace and prosecdef order by 1`,
    );
    deepStrictEqual(paths.map(({ name }) => name), [
      "delete_old_heartbeats",
      "drop_old_heartbeat_partition",
      "ensure_heartbeat_partition",
      "heartbeats_without_partition",
    ]);
    for (const { name, settings } of paths) {
      strictEqual(settings.includes("search_path=pg_catalog, pg_temp"), true, name);
    }
    const call = "select public.ensure_heartbeat_partition('public.heartbeats', now())";
    await assertRefused(place, "heartbeat_reader", [call]);
  }),
);

Deno.test(
  "the reader can read every table, even day partitions that are created later, and can write nothing",
  onPlace({}, async (place) => {
    await makeRoles(place);
    await place.publisher.send([reading("a", daysAgo(0), 70), reading("a", daysAgo(5), 71)]);
    await place.consumeAll({ env: { DATABASE_URL: urlOf(place, "heartbeat_writer") } });
    const tables = await place.sql<{ name: string }>(
      `select oid::regclass::text as name from pg_class
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm') and not relispartition`,
    );
    const reads = tables.map(({ name }) => `select count(*) from ${name}`);
    const writes = [
      "insert into public.heartbeats values ('mine', now(), 70, null)",
      "update public.heartbeats set heart_rate = 1",
      "delete from public.heartbeats",
      "truncate public.heartbeats",
      "create table public.mine (id int)",
      "drop table public.heartbeats",
      "select * from public.ingest_offsets for update",
    ];
    await withClient(urlOf(place, "heartbeat_reader"), async (client) => {
      deepStrictEqual(await statesOf(client, reads), reads.map((read) => [read, "done"]));
      const seen = await client.query("select count(*)::int as count from public.heartbeats");
      deepStrictEqual(seen.rows, [{ count: 2 }]);
      for (const [write, state] of await statesOf(client, writes)) {
        strictEqual([READ_ONLY_TRANSACTION, PERMISSION_DENIED].includes(state), true, `${write}: ${state}`);
      }
      await client.query("set default_transaction_read_only = off");
      const tries = [...writes, "create temporary table mine (id int)"];
      deepStrictEqual(await statesOf(client, tries), tries.map((write) => [write, PERMISSION_DENIED]));
    });
    const peeks = [
      "select rolpassword from pg_authid",
      "set role heartbeat_user",
      "set role heartbeat_writer",
    ];
    await assertRefused(place, "heartbeat_reader", peeks);
  }),
);

Deno.test(
  "creating the roles again keeps their privileges, sets a changed password and logs no password",
  onPlace({ partitions: 0 }, async (place) => {
    // The consumer keeps the password of a role that another database uses.
    const others = await place.sql<{ name: string }>(
      "select datname as name from pg_database where datname <> current_database() and datname ~ '_[0-9a-f]{6}$'",
    );
    for (const { name } of others) await place.asSuperuser(`drop database "${name}" with (force)`);
    await place.asSuperuser(`alter database "${place.database}" set log_statement = 'all'`);
    const first = await makeRoles(place);
    match(first, /heartbeat_writer and heartbeat_reader/);
    const rights = () =>
      place.sql(
        `select grantee, table_name, privilege_type from information_schema.role_table_grants
          where table_schema = 'public' and grantee like 'heartbeat%' order by 1, 2, 3`,
      );
    const before = await rights();
    const file = await Deno.makeTempFile();
    await Deno.writeTextFile(file, "writer-pass-2\n");
    const second = await makeRoles(place, {
      HEARTBEAT_WRITER_PASSWORD: "",
      HEARTBEAT_WRITER_PASSWORD_FILE: file,
    });
    await Deno.remove(file);
    deepStrictEqual(await rights(), before);
    const login = (password: string) =>
      withClient(urlOf(place, "heartbeat_writer", password), (client) => client.query("select 1"));
    await login("writer-pass-2");
    await rejects(login(WRITER_PASSWORD), { code: "28P01" });
    const server = await Deno.readTextFile(join(place.stack.home, "postgres", "postgres.log"));
    match(server, /(create|alter) role heartbeat_writer login password 'SCRAM-SHA-256\$/);
    doesNotMatch(first + second + server, /(writer|reader)-pass-\d/);
    await makeRoles(place);
  }),
);

Deno.test(
  "a second database of the server uses the roles of the first and cannot change their passwords",
  onPlace({ partitions: 0 }, async (place) => {
    await makeRoles(place);
    const second = `${place.database}_second`;
    await place.asSuperuser(`create database "${second}" owner heartbeat_user`);
    const at = (url: string) => Object.assign(new URL(url), { pathname: `/${second}` }).href;
    const migrate = async (writer: string) => {
      const consumer = place.consumer({
        args: ["--migrate-only"],
        env: { DATABASE_URL: at(place.databaseUrl), HEARTBEAT_WRITER_PASSWORD: writer },
      });
      return { code: await consumer.exitCode(), output: consumer.output };
    };
    const login = urlOf(place, "heartbeat_writer");

    const other = await migrate("other-pass-1");
    strictEqual(other.code, 1);
    match(
      other.output,
      /heartbeat_writer exists with another password and is used by database .*_[0-9a-f]{6}/,
    );
    match(
      other.output,
      /set HEARTBEAT_WRITER_PASSWORD to the password that it has there.*\\password heartbeat_writer/,
    );
    doesNotMatch(other.output, /other-pass-1/);
    await withClient(login, (client) => client.query("select from public.heartbeats"));

    strictEqual((await migrate(WRITER_PASSWORD)).code, 0);
    for (const url of [login, at(login)]) {
      await withClient(url, (client) => client.query("select from public.heartbeats"));
    }
    await place.asSuperuser(`drop database "${second}" with (force)`);
  }),
);

Deno.test(
  "a migration without the right to create roles says so, and creates none without passwords",
  onPlace({ partitions: 0 }, async (place) => {
    await place.asSuperuser("alter role heartbeat_user nocreaterole");
    const runs = [
      [
        1,
        { HEARTBEAT_READER_PASSWORD: READER_PASSWORD },
        /Cannot make the roles .*42501.*grant the missing right/,
      ],
      [0, {}, /^/],
      [
        2,
        { HEARTBEAT_WRITER_PASSWORD: "pass word@" },
        /HEARTBEAT_WRITER_PASSWORD: is malformed \(not shown\), expected 8 to 128/,
      ],
    ] as const;
    for (const [code, env, says] of runs) {
      const consumer = place.consumer({ args: ["--migrate-only"], env });
      strictEqual(await consumer.exitCode(), code);
      match(consumer.output, says);
    }
  }),
);
