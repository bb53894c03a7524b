/** What Grafana says while the rollup, a consumer or both lag, stand still or are gone; on a real database. */
import assert from "node:assert/strict";
import { expandMacros } from "../../grafana/queries/grafana_macros.ts";
import { monitored, type Row } from "../support/grafana_database.ts";
import { insertDay } from "../support/grafana_day.ts";

const HOUR = 3_600_000;

Deno.test("the newest readings come from the index on ts, with many partitions and readings in the default one", async () => {
  await using database = await monitored("grafana_newest");
  const { owner } = database;
  await insertDay((sql, values) => owner.query(sql, values as unknown[]));
  await owner.query(
    `insert into public.heartbeats
     select 'late-' || n, now() - interval '9 days' - n * interval '1 second', 70, null from generate_series(1, 5000) n`,
  );
  await owner.query(
    `select public.ensure_heartbeat_partition('public.heartbeats', day)
       from generate_series(now() - interval '60 days', now() - interval '11 days', interval '1 day') day`,
  );
  await owner.query("analyze");
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  const plain = /^select [^;]*order by ts desc limit 20(?=;)/m.exec(readme)?.[0];
  assert.ok(plain !== undefined, "README has no query for the latest readings");
  const panel = (part: string, rangeMs?: number) => {
    const { context, sql } = database.query(part);
    return expandMacros(sql, context(new Date(), rangeMs));
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
    const plan = await explain(panel("Latest warnings", rangeMs));
    assert.match(plan, /heartbeats_d\d{8}_ts_idx/, plan);
    assert.doesNotMatch(plan, /Seq Scan/, plan);
  }
});
