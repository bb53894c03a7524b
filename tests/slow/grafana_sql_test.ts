import assert from "node:assert/strict";
// @ts-types="@types/pg"
import type pg from "pg";
import { openMonitoredDatabase, type Row, type RunOptions } from "../support/grafana_database.ts";
import { HOSTILE_CUSTOMER, insertDay } from "../support/grafana_day.ts";
import type { BuiltQuery } from "../../grafana/queries/grafana_files.ts";
import { expandMacros } from "../../grafana/queries/grafana_macros.ts";

const HOUR = 3_600_000;

// Type OIDs of pg_type that Grafana's PostgreSQL data source shows as a number, a time or a text.
const NUMBERS = [20, 21, 23, 700, 701, 1700];
const TIME = 1184;
const TEXT = 25;

/** @returns the reasons why Grafana could not draw the result */
function misfits({ name, kind, type, format }: BuiltQuery, fields: readonly pg.FieldDef[]): string[] {
  const problems: string[] = [];
  const must = (holds: boolean, what: string) => holds || problems.push(`${name}: ${what}`);
  const typeOf = (column: string) => fields.find((field) => field.name === column)?.dataTypeID ?? 0;
  const isNumber = (oid: number) => NUMBERS.includes(oid);
  const numbers = fields.filter((field) => field.name !== "time" && isNumber(field.dataTypeID));
  for (const field of fields) {
    const known = isNumber(field.dataTypeID) || field.dataTypeID === TIME || field.dataTypeID === TEXT;
    must(known, `${field.name} is of type ${field.dataTypeID}, which is not a number, time or text`);
  }
  must(new Set(fields.map((field) => field.name)).size === fields.length, "two columns have one name");
  if (format === "time_series") {
    must(fields[0]?.name === "time", "the first column is not time");
    // A timestamp, or seconds since the epoch, which $__timeGroup gives.
    must(typeOf("time") === TIME || isNumber(typeOf("time")), "time has another type");
    must(numbers.length > 0, "has no number to draw");
    const texts = fields.filter((field) => field.dataTypeID === TEXT);
    must(
      texts.every((field) => field.name === "metric") && texts.length <= 1,
      "a label is not called metric",
    );
    // With more columns, Grafana adds the column name to the name of the series.
    must(texts.length === 0 || fields.length === 3, "metric needs exactly three columns");
  }
  if (kind === "alert") must(fields.length === 2, "does not have a time and one number");
  if (type === "stat") must(fields.length === 1 && numbers.length === 1, "is not one number");
  if (kind === "variable") must(fields.length === 1 && fields[0]?.dataTypeID === TEXT, "is not one text");
  if (kind === "annotation") {
    must(typeOf("time") === TIME, "time has another type");
    must(typeOf("text") === TEXT && typeOf("tags") === TEXT, "text or tags has another type");
    must(typeOf("timeend") === TIME || typeOf("timeend") === 0, "timeend has another type");
  }
  return problems;
}

function outOfOrder({ name, format }: BuiltQuery, rows: readonly Row[]): string[] {
  if (format !== "time_series") return [];
  const times = rows.map(({ time }) => Number(time));
  return times.some((time, index) => time < (times[index - 1] ?? -Infinity))
    ? [`${name}: is out of order`]
    : [];
}

Deno.test("every query runs as the reader on an empty schema and returns the columns that its panel needs", async () => {
  await using database = await openMonitoredDatabase("grafana_empty");
  assert.ok(database.queries.length >= 45, `only ${database.queries.length} queries were found`);
  const problems: string[] = [];
  for (const query of database.queries) {
    const { fields, rows } = await database.run(query);
    problems.push(...misfits(query, fields));
    for (const row of rows) {
      // The rollup has a row even without data.
      if (row["State"] === "follows") continue;
      // Without data a count is 0, and any other value is null.
      const values = Object.entries(row).filter(([name]) => name !== "time" && name !== "bpm");
      if (values.some(([, value]) => Number(value) !== 0)) {
        problems.push(`${query.name}: ${JSON.stringify(row)}`);
      }
    }
  }
  assert.deepEqual(problems, []);
});

Deno.test("every query returns ordered rows for an hour and for a day of data", async () => {
  await using database = await openMonitoredDatabase("grafana_day");
  await insertDay((sql, values) => database.owner.query(sql, values as unknown[]));
  const problems: string[] = [];
  for (const query of database.queries) {
    let shown = 0;
    // Low anomalies, silences and rejects belong to different customers.
    for (const customer of ["high-now", "low-now", "c-0007", "c-0001"]) {
      for (const rangeMs of [HOUR, 24 * HOUR]) {
        const { fields, rows } = await database.run(query, { rangeMs, customer });
        problems.push(...misfits(query, fields), ...outOfOrder(query, rows));
        shown += rows.length;
      }
    }
    if (shown === 0) problems.push(`${query.name}: gives no row`);
  }
  assert.deepEqual([...new Set(problems)], []);
});

// deno-lint-ignore house/max-function-lines -- steps on one day of data
Deno.test("dashboards and alert rules show the right values for a day of data", async (t) => {
  await using database = await openMonitoredDatabase("grafana_truth");
  await insertDay((sql, values) => database.owner.query(sql, values as unknown[]));
  const customers = async (part: string, options: RunOptions = {}) =>
    (await database.rows(part, options)).map((row) => row["Customer"] ?? row["customer_id"]);

  await t.step("the list of customers who need attention begins with the worst", async () => {
    assert.deepEqual(await customers("Who needs attention now"), ["low-now", "high-now", "high-lately"]);
    assert.equal(await database.number("Need attention"), 3);
  });

  await t.step("the list of quiet customers begins with anomalies", async () => {
    assert.deepEqual(await customers("Who went quiet"), ["quiet-and-low", "quiet"]);
    assert.equal(await database.number("Gone quiet"), 2);
    assert.equal(await database.number("Reporting"), 24);
  });

  await t.step("each customer is counted in one bucket, as low, within or high", async () => {
    const rows = await database.rows("Heart rates now");
    const sum = (column: string) => rows.reduce((total, row) => total + Number(row[column]), 0);
    assert.equal(rows.length, 19);
    assert.deepEqual([sum("Low"), sum("Within"), sum("High")], [1, 22, 1]);
    assert.equal(rows[0]?.["bpm"], "30–39");
  });

  await t.step("the heat map is ordered by heart rate, and each customer is in one cell", async () => {
    const { fields, rows } = await database.run(database.query("Heart rates over time"));
    const names = fields.slice(1).map((field) => Number(field.name));
    assert.deepEqual(names, names.toSorted((a, b) => a - b));
    const of = (row: Row) => names.reduce((total, name) => total + Number(row[name]), 0);
    assert.ok(rows.slice(1, -10).every((row) => of(row) >= 21), "a minute lacks customers");
  });

  await t.step("the latest warnings are the latest readings outside the alarm limits", async () => {
    const { rows } = await database.owner.query<{ ts: Date }>(
      "select ts from public.heartbeats where anomaly is not null order by ts desc limit 20",
    );
    const shown = await database.rows("Latest anomalies");
    assert.deepEqual(shown.map((row) => row["Time"]), rows.map(({ ts }) => ts));
  });

  await t.step("the latest readings are those before the end of the time range", async () => {
    for (const agoMs of [0, 90_500, 3 * HOUR]) {
      const end = new Date(Date.now() - agoMs);
      const { rows } = await database.owner.query<{ ts: Date }>(
        "select ts from public.heartbeats where ts <= $1 order by ts desc limit 20",
        [end],
      );
      const shown = await database.rows("overview.json: Latest readings", { end });
      assert.deepEqual(shown.map((row) => row["Time"]), rows.map(({ ts }) => ts));
    }
  });

  await t.step("lag and freshness ignore the log of a deleted topic", async () => {
    assert.equal(await database.number("pipeline.json: Lag (A)"), 500);
    const seconds = await database.number("alert rule: Lag growing");
    assert.ok(seconds >= 30 && seconds < 300, `${seconds} s`);
    const age = await database.number("alert rule: Ingestion stalled");
    assert.ok(age >= 1 && age < 300, `${age} s`);
    assert.equal((await database.rows("Partitions (A)")).length, 2);
  });

  await t.step("a third of the customers of the last hour counts as quiet", async () => {
    await database.owner.query(
      "update public.customer_latest set ts = now() - interval '10 minutes' where customer_id < 'c-0008'",
    );
    const percent = await database.number("alert rule: Many customers quiet at once");
    // 8 of 25 are quiet: the seven from above and one that was quiet before.
    assert.equal(Math.round(percent), 32);
  });

  await t.step("many rejects at once are a spike, but a few in a whole day are not", async () => {
    assert.equal(await database.number("alert rule: Reject spike"), 0);
    await database.owner.query(
      `insert into public.heartbeat_rejects
       select 2, 'heartbeats', 0, 3000 + n, 'tombstone', '', null, null, now() from generate_series(1, 40) n`,
    );
    assert.equal(await database.number("alert rule: Reject spike"), 40);
  });

  await t.step("old or partly dropped day partitions are overdue while retention stalls", async () => {
    const overdue = () => database.number("alert rule: Retention stalled");
    await database.owner.query(
      "insert into public.heartbeat_retention_bound values (true, date_trunc('day', now() - interval '5 days', 'UTC'))",
    );
    assert.equal(await overdue(), 0, "a day partition has just been dropped");
    await database.owner.query(
      "update public.heartbeat_retention set dropped_at = now() - interval '1 hour'",
    );
    assert.equal(await overdue(), 2, "the days from seven and six days ago");
    await database.owner.query("update public.heartbeat_retention set dropped_rows = null");
    assert.equal(await overdue(), 3);
  });

  await t.step("no record is unaccounted for until a table is changed by hand", async () => {
    for (
      const part of [
        "alert rule: Unaccounted",
        "pipeline.json: Unaccounted",
        "Minute aggregates against rows",
      ]
    ) {
      assert.equal(await database.number(part), 0, part);
    }
    await database.owner.query("delete from public.ingest_gaps where cause = 'aborted'");
    assert.equal(await database.number("pipeline.json: Unaccounted"), 10);
    await database.owner.query(
      "alter table public.ingest_offsets drop constraint ingest_offsets_accounted; update public.ingest_offsets set stored = stored - 3 where id = 3",
    );
    assert.equal(await database.number("pipeline.json: Unaccounted"), 13);
    await database.owner.query(
      `delete from public.heartbeats
        where customer_id = 'high-now'
          and ts >= date_trunc('minute', now()) - interval '2 minutes' and ts < date_trunc('minute', now())`,
    );
    assert.ok(await database.number("Minute aggregates against rows") > 0);
    assert.ok(await database.number("alert rule: Unaccounted") > 13);
  });
});

Deno.test("a customer with any characters in the id is shown", async (t) => {
  await using database = await openMonitoredDatabase("grafana_customer");
  await insertDay((sql, values) => database.owner.query(sql, values as unknown[]));
  const hostile = { customer: HOSTILE_CUSTOMER };

  await t.step("readings, minute aggregates and the reject with the id as key are found", async () => {
    assert.equal(await database.number("customer.json: Latest heart rate", hostile), 75);
    assert.ok((await database.rows("Heart rate (Raw)", hostile)).length > 1_700);
    assert.equal((await database.rows("customer.json: Rejected records", hostile)).length, 1);
    assert.equal((await database.rows("annotation Rejected", hostile)).length, 1);
  });

  await t.step("ranges of up to two hours show raw readings, longer ones minute aggregates", async () => {
    for (
      const [rangeMs, raw] of [[HOUR, true], [2 * HOUR, true], [3 * HOUR, false], [
        24 * HOUR,
        false,
      ]] as const
    ) {
      const counts = [
        (await database.rows("Heart rate (Raw)", { rangeMs })).length > 0,
        (await database.rows("Heart rate (Minutes)", { rangeMs })).length > 0,
      ];
      assert.deepEqual(counts, [raw, !raw], `${rangeMs / HOUR} h`);
    }
  });

  await t.step("consecutive minutes with an anomaly are one episode", async () => {
    const episodes = await database.rows("annotation High", { rangeMs: 24 * HOUR });
    assert.equal(episodes.length, 2);
    assert.match(String(episodes[1]?.["text"]), /^Heart rate high: \d+ readings, up to 200 bpm$/);
  });

  await t.step("the variable lists the customers that begin with the typed text", async () => {
    const list = async (search?: string) =>
      (await database.rows("variable customer", search === undefined ? {} : { search }))
        .map((row) => row["customer_id"]);
    assert.equal((await list()).length, 26);
    assert.deepEqual(await list("high"), ["high-lately", "high-now"]);
    const { context, sql } = database.query("variable customer");
    const plan = await database.reader.query<Row>(
      `set enable_seqscan = off; explain ${expandMacros(sql, { ...context(new Date()), search: "high" })}`,
    ) as unknown as { rows: Row[] }[];
    assert.match(JSON.stringify(plan[1]?.rows), /Index.*customer_latest_pkey.*Index Cond/);
  });
});

Deno.test("no query reads day partitions outside its time range", async () => {
  await using database = await openMonitoredDatabase("grafana_pruning");
  await insertDay((sql, values) => database.owner.query(sql, values as unknown[]));
  for (const query of database.queries) {
    const context = query.context(new Date());
    const variables = { ...context.variables, customer: "c-0001" };
    const { rows } = await database.reader.query<Row>(
      `explain (verbose) ${expandMacros(query.sql, { ...context, variables })}`,
    );
    const opened = new Set(JSON.stringify(rows).match(/heartbeats_(d\d{8}|default)/g));
    // A range can include midnight, so it can need two day partitions.
    assert.ok(
      opened.size <= 2 && !opened.has("heartbeats_default"),
      `${query.name}: ${[...opened].join(", ")}`,
    );
  }
});

Deno.test("Grafana's role cannot change anything", async () => {
  await using database = await openMonitoredDatabase("grafana_rights");
  const refused = [
    "insert into public.heartbeats values ('c', now(), 70)",
    "update public.ingest_offsets set stored = 0",
    "delete from public.heartbeat_rejects",
    "truncate public.heartbeats_1m",
    "create table public.mine (n int)",
    "select public.ensure_heartbeat_partition('public.heartbeats', now())",
  ];
  await database.reader.query("set default_transaction_read_only = off");
  for (const sql of refused) {
    await assert.rejects(database.reader.query(sql), { code: "42501" }, sql);
  }
});
