import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert";
import { type Asked, beat, openQueries, openStore } from "../../support/monitor_queries.ts";
import { onPlace } from "../../support/services.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

async function csvOf({ queries }: Asked, id: string, range: { from: number; to: number }): Promise<string> {
  return (await Array.fromAsync(queries.csv(id, range))).join("");
}

Deno.test(
  "the CSV file has all readings of the range in order, in several pages, and no cell is a formula",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    await using written = await openStore(place);
    const start = Date.parse("2026-07-14T09:30:00Z");
    await written.store([beat('=cmd|"x"', start + 1, 70), beat('=cmd|"x"', start + 60_000, 190)]);
    strictEqual(
      await csvOf(asked, '=cmd|"x"', { from: start, to: start + MINUTE_MS }),
      `customer_id,ts,heart_rate,anomaly\n"'=cmd|""x""",2026-07-14T09:30:00.001000Z,70,\n`,
    );
    strictEqual(
      await csvOf(asked, "nobody", { from: start, to: start + 1 }),
      "customer_id,ts,heart_rate,anomaly\n",
    );
    await place.sql(
      `insert into public.heartbeats select 'many', $1::timestamptz + n * interval '1000001 microseconds', 70, 'high' from generate_series(1, 20001) n`,
      [new Date(start)],
    );
    const lines = (await csvOf(asked, "many", { from: start, to: start + 24 * HOUR_MS })).trimEnd().split(
      "\n",
    );
    strictEqual(lines.length, 20_002);
    strictEqual(lines[1], "many,2026-07-14T09:30:01.000001Z,70,high");
    deepStrictEqual(lines.slice(1).toSorted(), lines.slice(1));
    strictEqual(new Set(lines).size, lines.length);
  }),
);

Deno.test(
  "search, tail, raw readings and the latest reading use an index, and read no day partition outside the range",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    await place.sql(
      `select public.ensure_heartbeat_partition('public.heartbeats', now() - n * interval '1 day') from generate_series(-1, 4) n`,
    );
    await place.sql(
      `insert into public.heartbeats select 'c-' || n % 500, now() - n * interval '2 seconds', 70, null from generate_series(1, 100000) n`,
    );
    await place.sql(
      `insert into public.customer_latest select 'c-' || n, now(), 70, null from generate_series(1, 20000) n`,
    );
    await place.sql("analyze");
    const now = Date.now();
    const range = { from: now - HOUR_MS, to: now };
    await asked.queries.tail([{ id: "c-7", after: now - MINUTE_MS }, { id: "c-8", after: now - MINUTE_MS }]);
    await asked.queries.series("c-7", range);
    await asked.queries.search("c-77");
    await asked.queries.customer("c-7", range);
    await csvOf(asked, "c-7", range);
    const [{ filled } = { filled: "" }] = await place.sql<{ filled: string }>(
      "select string_agg(distinct tableoid::regclass::text, '|') as filled from public.heartbeats",
    );
    const explained = asked.statements.filter(({ sql }) => /heartbeats|customer_latest/.test(sql));
    strictEqual(explained.length, 5);
    for (const { sql, values } of explained) {
      const plan = await asked.database.query<{ "QUERY PLAN": string }>(`explain (analyze) ${sql}`, values);
      const lines = plan.map((line) => line["QUERY PLAN"]).filter((line) => !line.includes("never executed"));
      const text = lines.join("\n");
      doesNotMatch(text, new RegExp(`Seq Scan on (${filled}|customer_latest)`), sql);
      match(text, /Index.* (using|on) (heartbeats_d\d+|customer_latest)_pkey/, sql);
      const opened = new Set(text.match(/heartbeats_d\d{8}(?!_pkey)/g));
      ok(opened.size <= 3, `${[...opened].join()}: ${sql}`);
    }
  }),
);

Deno.test(
  "equal questions at the same time share one query, which counts once",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    const [ask, range] = [asked.queries.series, { from: 0, to: 1 }];
    const answers = await Promise.all([
      ask("a", range),
      ask("a", range),
      ask("a", { ...range }),
      ask("b", range),
    ]);
    strictEqual(asked.statements.length, 2);
    strictEqual(answers[0], answers[2]);
    await ask("a", range);
    strictEqual(asked.statements.length, 3);
    strictEqual(await asked.counted(), 3);
  }),
);

Deno.test(
  "a series has at most 50,000 points, and says that the rest is missing",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    const start = Date.parse("2026-07-14T09:00:00Z");
    await place.sql(
      `insert into public.heartbeats select 'many', $1::timestamptz + n * interval '100 milliseconds', 70, null
         from generate_series(0, 60000) n`,
      [new Date(start)],
    );
    const many = await asked.queries.series("many", { from: start, to: start + 2 * HOUR_MS });
    deepStrictEqual([many.ts.length, many.ts.at(-1), many.truncated], [50_000, start + 4_999_900, true]);
  }),
);
