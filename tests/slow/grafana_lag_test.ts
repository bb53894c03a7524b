import assert from "node:assert/strict";
import { RULES } from "../../grafana/alerts.ts";
import { expandMacros } from "../../grafana/queries/grafana_macros.ts";
import { type MonitoredDatabase, openMonitoredDatabase, type Row } from "../support/grafana_database.ts";
import { insertDay } from "../support/grafana_day.ts";

const HOUR = 3_600_000;

/** Returns true if the condition of the alert rule holds now. The duration does not matter. */
async function fires(database: MonitoredDatabase, title: string): Promise<boolean> {
  const rule = RULES.find((one) => one.title === title);
  assert.ok(rule !== undefined, title);
  return await database.number(`alert rule: ${title}`) > rule.above;
}

Deno.test("no alert rule or panel reports data as wrong because the rollup lags, stalls or rebuilds", async (t) => {
  await using database = await openMonitoredDatabase("grafana_rollup");
  await insertDay((sql, values) => database.owner.query(sql, values as unknown[]));
  const after = async (sql: string, title: string, isFiring: boolean) => {
    await database.owner.query(sql);
    assert.equal(await fires(database, title), isFiring, `${title} after ${sql}`);
  };
  const set = (table: string, assignment: string) => `update public.${table} set ${assignment}`;
  const waits = (since: string) => set("ingest_changes", `written_at = now() - interval '${since}'`);
  const cursor = (to: string) => set("rollup", `cursor = ${to}`);

  await t.step("waiting change rows are shown with their age and counted", async () => {
    assert.ok(await database.number("customer.json: Rollup lag") >= 20);
    const [rollup] = await database.rows("Rollup (A)");
    assert.deepEqual([rollup?.["State"], rollup?.["Records behind"]], ["follows", "400"]);
    const behind = (await database.rows("Partitions (A)")).map((row) => row["Rollup behind"]);
    assert.deepEqual(behind, ["400", "0"]);
    assert.equal(await database.number("Minute aggregates against rows"), 0);
  });

  await t.step("quiet customers are reported only while the rollup is current", async () => {
    const QUIET = "Many customers quiet at once";
    await after(waits("0 s"), QUIET, false);
    const old = set("customer_latest", "ts = now() - interval '10 minutes' where customer_id < 'c-0008'");
    await after(old, QUIET, true);
    await after(waits("90 s"), QUIET, false);
    await after(waits("0 s"), QUIET, true);
    await after(cursor("'infinity'"), QUIET, false);
    await after(cursor("now() - interval '30 minutes'"), QUIET, false);
    await after(cursor("now() - interval '61 minutes'"), QUIET, true);
    await after(cursor("null"), QUIET, true);
  });

  await t.step("a rollup counts as stalled until a round or the rebuild makes progress", async () => {
    const STALLED = "Rollup stalled";
    await after(waits("10 minutes"), STALLED, true);
    await after(waits("0 s"), STALLED, false);
    await after(set("rollup", "committed_at = now() - interval '10 minutes'"), STALLED, false);
    await after(cursor("now() - interval '1 hour'"), STALLED, true);
    assert.equal(await database.number("customer.json: Rollup lag"), -1);
    await after(set("rollup", "committed_at = now()"), STALLED, false);
  });

  await t.step("minutes from the cursor on are compared, unless too many records wait", async () => {
    const LOST = "Unaccounted records";
    const difference = async () => (await database.rows("Minute aggregates against rows"))[0]?.["Difference"];
    await database.owner.query(cursor("'infinity'"));
    await after(
      "delete from public.heartbeats_1m where minute > now() - interval '5 minutes'",
      LOST,
      false,
    );
    assert.equal(await difference(), "0");
    await after(cursor("date_trunc('minute', now() - interval '5 minutes')"), LOST, true);
    await after(set("rollup_positions", "next_offset = next_offset - 100000"), LOST, false);
    assert.equal(await difference(), null);
    await after(set("rollup_positions", "next_offset = next_offset + 100000"), LOST, true);
  });
});

Deno.test("a lost change row makes the minute aggregates differ from the rows", async () => {
  await using database = await openMonitoredDatabase("grafana_lost_change");
  await insertDay((sql, values) => database.owner.query(sql, values as unknown[]));
  assert.equal(await fires(database, "Unaccounted records"), false);
  await database.owner.query("delete from public.ingest_changes where move = 8");
  assert.ok(await database.number("Minute aggregates against rows") >= 10);
  assert.equal(await fires(database, "Unaccounted records"), true);
});

Deno.test("a killed consumer counts as not running, and its lag grows from the last log end offset that it stored", async (t) => {
  await using database = await openMonitoredDatabase("grafana_killed_consumer");
  await insertDay((sql, values) => database.owner.query(sql, values as unknown[]));
  const [running, listed] = database.queries.filter(({ name }) => name.includes("pipeline.json: Consumers"));
  assert.ok(running?.type === "stat" && listed?.type === "table");
  const states = async () =>
    (await database.run(listed)).rows
      .map((row) => [row["Consumer"], row["State"], row["Partitions"], row["Why not ready"]]);

  await t.step(
    "each consumer is shown as ready or not ready with the reason, or as not running if its status is old",
    async () => {
      await database.owner.query(
        "update public.consumer_status set seen_at = now() where consumer <> 'killed'",
      );
      assert.deepEqual((await states()).toSorted(), [
        ["killed", "not running", "0, 1", ""],
        ["reads", "ready", "1, 0", ""],
        ["waits", "not ready", "", "the schema is not current"],
      ]);
      assert.equal(await database.number("overview.json: Consumers"), 2);
      assert.equal(await fires(database, "No consumer runs"), false);
    },
  );

  await t.step("the newest log end offset of a partition counts, from any consumer", async () => {
    const ends = (await database.rows("Partitions (A)")).map((row) => [row["End of the log"], row["Lag"]]);
    assert.deepEqual(ends, [["5510", "500"], ["3000", "0"]]);
  });

  await t.step("without a running consumer, the lag in records stays and the lag in time grows", async () => {
    await database.owner.query("update public.consumer_status set seen_at = seen_at - interval '10 minutes'");
    assert.equal(await database.number("overview.json: Consumers"), 0);
    assert.deepEqual((await states()).map((row) => row[1]), ["not running", "not running", "not running"]);
    assert.equal(await fires(database, "No consumer runs"), true);
    assert.equal(await database.number("overview.json: Lag"), 500);
    const seconds = (await database.rows("Partitions (A)")).map((row) => Number(row["Lag in time"]));
    assert.ok((seconds[0] ?? 0) >= 30, "with lag, the time counts from the last record");
    assert.ok((seconds[1] ?? 0) >= 600, "without lag, the time counts from the last answer");
    assert.equal(await fires(database, "Lag growing"), true);
  });

  await t.step("without a log end offset the lag is null, not 0", async () => {
    await database.owner.query(
      "update public.consumer_status set log_end_offsets = array_fill(null::bigint, array[cardinality(partitions)])",
    );
    assert.equal((await database.rows("overview.json: Lag ("))[0]?.["Lag"], null);
  });
});

Deno.test("the newest readings come from the index on ts, with many day partitions and rows in the default partition", async () => {
  await using database = await openMonitoredDatabase("grafana_newest");
  const { owner } = database;
  await insertDay((sql, values) => owner.query(sql, values as unknown[]));
  await owner.query(
    `insert into public.heartbeats
     select 'late-' || n, now() - interval '9 days' - n * interval '1 second', 70, null from generate_series(1, 5000) n`,
  );
  await owner.query(
    `insert into public.heartbeats
     select 'more-' || n % 9, now() - n * interval '4 seconds', 190, case when n % 50 = 0 then 'high' end
       from generate_series(1, 43200) n`,
  );
  await owner.query(
    `select public.ensure_heartbeat_partition('public.heartbeats', day)
       from generate_series(now() - interval '60 days', now() - interval '11 days', interval '1 day') day`,
  );
  await owner.query("analyze");
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  const plain = /^select [^;]*order by ts desc limit 20(?=;)/m.exec(readme)?.[0];
  assert.ok(plain !== undefined, "README has no query for the latest readings");
  // The partition of a day that has just begun is so small that reading all of it is right.
  const end = new Date();
  if (end.getUTCHours() < 12) end.setUTCHours(0, 0, 0, -1);
  const panel = (part: string, rangeMs?: number) => {
    const { context, sql } = database.query(part);
    return expandMacros(sql, context(end, rangeMs));
  };
  const explain = async (sql: string) => {
    const { rows } = await database.reader.query<Row>(`explain ${sql}`);
    return rows.map((row) => row["QUERY PLAN"]).join("\n");
  };
  for (const rangeMs of [HOUR, 30 * 24 * HOUR]) {
    for (const sql of [plain, panel("overview.json: Latest readings", rangeMs)]) {
      const plan = await explain(sql);
      assert.match(plan, /Index Scan Backward using heartbeats_d\d{8}_ts_idx/, plan);
      assert.doesNotMatch(plan, /Sort\b(?! Key)|Seq Scan/, plan);
    }
    const plan = await explain(panel("Latest anomalies", rangeMs));
    assert.match(plan, /heartbeats_d\d{8}_ts_idx/, plan);
    assert.doesNotMatch(plan, /Seq Scan/, plan);
  }
});
