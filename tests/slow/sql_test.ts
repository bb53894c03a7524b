import { deepStrictEqual, doesNotMatch, match, strictEqual } from "node:assert";
import { eventually } from "../../lab/eventually.ts";
import type { Place } from "../../lab/place.ts";
import { WorkerProcess } from "../../lab/worker_process.ts";
import { withClient } from "../../stack/postgres/postgres_client.ts";
import { CLONE } from "../../stack/process/clone.ts";
import { taskArguments } from "../../stack/worker_task.ts";
import { openReader } from "../../workers/_shared/reader.ts";
import { createPrinter } from "../../workers/sql/print_rows.ts";
import { QUERIES } from "../../workers/sql/queries.ts";
import { runQuery, SQL_LIMITS } from "../../workers/sql/run_query.ts";
import { bad, reading } from "../support/judge.ts";
import { makeRoles, urlOf } from "../support/roles.ts";
import { onPlace } from "../support/services.ts";

/** Runs a query in this process as the task does, and returns its output or its error. */
async function query(
  place: Place,
  sql: string,
  { limit = 1_000, limits = SQL_LIMITS } = {},
): Promise<string> {
  const url = urlOf(place, "heartbeat_reader");
  await using database = openReader(url, { connections: 1, limits, name: "heartbeat-sql" });
  let output = "";
  const printer = createPrinter({ format: "csv", spreadsheet: false, isTerminal: false }, (text) => {
    output += text;
    return true;
  });
  const result = await runQuery(database, { sql, limit }, printer, { signal: new AbortController().signal });
  return result.kind === "failed"
    ? result.text
    : result.kind === "done" && result.isCut
    ? `${output}(cut)`
    : output;
}

/** The statements of the task's sessions. Only a superuser sees those of other roles. */
async function statements(place: Place): Promise<string[]> {
  return await withClient(place.superuserUrl, async (client) => {
    const { rows } = await client.query<{ query: string }>(
      "select query from pg_stat_activity where application_name = 'heartbeat-sql' and datname = current_database()",
    );
    return rows.map(({ query }) => query);
  });
}

Deno.test(
  "sql refuses the logins of the owner and the writer, and says how to get the reader's",
  onPlace({ partitions: 0 }, async (place) => {
    await makeRoles(place);
    const logins = [
      ["heartbeat_user", place.databaseUrl],
      ["heartbeat_writer", urlOf(place, "heartbeat_writer")],
      ["postgres", place.superuserUrl],
    ] as const;
    for (const [name, DATABASE_URL] of logins) {
      const { code, output } = await place.run("sql", ["select 'it ran'"], { DATABASE_URL });
      strictEqual(code, 2, output);
      match(
        output,
        new RegExp(
          `Cannot start the SQL task: .*${name}.*expected heartbeat_reader.*HEARTBEAT_READER_PASSWORD`,
        ),
      );
      doesNotMatch(output, /it ran/);
    }
    const { code, output } = await place.run("sql", ["select 'it ran'"], {
      READER_DATABASE_URL: urlOf(place, "heartbeat_reader"),
    });
    deepStrictEqual([code, output], [0, "?column?\nit ran\n(1 row)\n"]);
  }),
);

Deno.test(
  "every query that README names runs as the reader, and finds what was stored",
  onPlace({}, async (place) => {
    await makeRoles(place);
    const now = Date.now();
    const at = (seconds: number) => new Date(now - seconds * 1_000).toISOString();
    await place.publisher.send([
      reading("a", at(300), 40),
      reading("a", at(240), 38),
      reading("a", at(180), 70),
      bad("invalid_json", "{\x1b"),
    ]);
    const consumer = place.consumer();
    await place.untilCaughtUp();
    await consumer.untilReady();
    const found = await Promise.all([...QUERIES].map(async ([name, sql]) => {
      const [header = "", ...lines] = (await query(place, sql)).trimEnd().split("\r\n");
      return [name, header.split(",")[0], lines.length];
    }));
    deepStrictEqual(found, [
      ["episodes", "customer_id", 1],
      ["readings", "customer_id", 3],
      ["latest", "customer_id", 1],
      ["lag", "offsets", 1],
      ["consumers", "host", 1],
      ["rejects", "rejected_at", 1],
      ["ledger", "topic", 1],
    ]);
    const { code, output } = await place.run("sql", ["episodes", "--format", "json"], {
      DATABASE_URL: urlOf(place, "heartbeat_reader"),
    });
    strictEqual(code, 0, output);
    const [{ customer_id, anomaly, duration, extreme, readings }] = JSON.parse(output);
    deepStrictEqual([customer_id, anomaly, duration, extreme, readings], ["a", "low", "00:01:00", 38, 2]);
    strictEqual(await consumer.stop(), 0);
  }),
);

Deno.test(
  "sql prints values exactly, whatever the settings of the role, and says when it leaves out rows",
  onPlace({ partitions: 0 }, async (place) => {
    await makeRoles(place);
    await place.asSuperuser(
      `alter role heartbeat_reader set timezone = 'Asia/Tokyo'; alter role heartbeat_reader set datestyle = 'SQL, DMY';
       alter role heartbeat_reader set intervalstyle = 'iso_8601'; alter role heartbeat_reader set bytea_output = 'escape';
       alter role heartbeat_reader set extra_float_digits = -5`,
    );
    const values =
      `select '2026-07-14 09:30:00.123456+02'::timestamptz, interval '90 s', '\\xff00'::bytea, 0.1::float8 + 0.2::float8, null, 'x'`;
    strictEqual(
      (await query(place, values)).split("\r\n")[1],
      "2026-07-14T07:30:00.123456Z,00:01:30,\\xff00,0.30000000000000004,,x",
    );
    const three = "select * from generate_series(1, 3) n";
    strictEqual(await query(place, three, { limit: 2 }), "n\r\n1\r\n2\r\n(cut)");
    strictEqual(await query(place, three, { limit: 3 }), "n\r\n1\r\n2\r\n3\r\n");
    strictEqual(await query(place, "select * from generate_series(1, 0) n"), "n\r\n");
    const many = await query(place, "select * from generate_series(1, 2500) n", { limit: Infinity });
    strictEqual(many.split("\r\n").length, 2_502);
    // Statements without a cursor.
    match(await query(place, "explain select 1"), /^QUERY PLAN\r\n"?Result/);
    strictEqual(await query(place, "show timezone"), "TimeZone\r\nUTC\r\n");
    const { code, output } = await place.run("sql", [three, "--limit", "1"], {
      DATABASE_URL: urlOf(place, "heartbeat_reader"),
    });
    strictEqual(code, 0);
    match(output, /more rows than --limit 1; --limit 0 prints all/);
    await place.asSuperuser("alter role heartbeat_reader reset all");
  }),
);

Deno.test(
  "sql refuses writes and several statements with a reason, and shows where an error is",
  onPlace({ partitions: 0 }, async (place) => {
    await makeRoles(place);
    const writes = [
      "insert into public.heartbeats values ('mine', now(), 70, null)",
      "with gone as (delete from public.heartbeats returning 1) select * from gone",
      "create temporary table mine (id int)",
      "select * from public.rollup for update",
      "select public.reopen_heartbeats('-infinity')",
      "select rolpassword from pg_authid",
    ];
    for (const write of writes) {
      match(await query(place, write), /\(SQLSTATE (25006|42501)\)\nThis task only reads/, write);
    }
    match(
      await query(place, "select * from public.later"),
      /does not exist .*\nLINE 1: .*\n +\^\n.*--migrate-only/,
    );
    match(await query(place, "select 1; select 2"), /^ERROR: .*\nRun one statement at a time\.$/);
    match(await query(place, "rollback; delete from public.heartbeats"), /Run one statement at a time/);
    strictEqual(
      await query(place, "select '\u{1fac0}' as heart,\n  pulse\nfrom public.heartbeats"),
      'ERROR: column "pulse" does not exist (SQLSTATE 42703)\nLINE 2:   pulse\n          ^',
    );
    match(
      await query(place, "select pg_sleep(20)", { limits: { ...SQL_LIMITS, statementMs: 300 } }),
      /statement timeout .*\nA statement may take 30 s: ask for a shorter time/,
    );
    const env = { DATABASE_URL: urlOf(place, "heartbeat_reader") };
    const { code, output } = await place.run("sql", ["select 1/0"], env);
    deepStrictEqual([code, output], [1, "ERROR: division by zero (SQLSTATE 22012)\n"]);
  }),
);

Deno.test(
  "Ctrl-C, and a reader of the output that goes away, end the query on the server",
  onPlace({ partitions: 0 }, async (place) => {
    await makeRoles(place);
    const env = { DATABASE_URL: urlOf(place, "heartbeat_reader") };
    await using slow = WorkerProcess.start("sql", { args: ["select pg_sleep(25)"], env });
    await eventually("the query to run", async () => {
      return (await statements(place)).some((statement) => statement.startsWith("fetch"));
    });
    slow.kill("SIGINT");
    strictEqual(await slow.exitCode({ withinMs: 10_000 }), 130);
    await eventually("no session", async () => (await statements(place)).length === 0);

    const child = new Deno.Command(Deno.execPath(), {
      args: [...taskArguments("sql"), "--limit", "0", "select generate_series(1, 1000000000)"],
      cwd: CLONE,
      env,
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    await child.stdout.cancel();
    strictEqual((await child.status).code, 0);
    await eventually("no session", async () => (await statements(place)).length === 0);
  }),
);
