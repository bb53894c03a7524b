import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert";
import { HOSTILE_CUSTOMER } from "../../support/grafana_day.ts";
import { type Asked, beat, openQueries, openStore } from "../../support/monitor_queries.ts";
import { onPlace } from "../../support/services.ts";

const SECOND_MS = 1_000;
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
  "a range of up to 2 h has raw readings, a longer one minutes that include what waits for the rollup",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    await using written = await openStore(place);
    const start = Date.parse("2026-07-14T09:00:00Z");
    const beats = (shift: number) =>
      Array.from(
        { length: 300 },
        (_, n) => beat("a", start + n * 47_000 + shift, 30 + (n * 37 + shift) % 190),
      );
    await written.store(beats(0));
    // What a round of the rollup does.
    await place.sql(`
      insert into public.heartbeats_1m
      select customer_id, minute, sum(readings), sum(heart_rate_sum), min(heart_rate_min), max(heart_rate_max), sum(low), sum(high)
        from public.heartbeats_1m_pending group by 1, 2;
      insert into public.rollup_positions select id, moves, next_offset from public.ingest_offsets;
      delete from public.ingest_changes`);
    await written.store(beats(11));
    const range = { from: start + 30 * MINUTE_MS + 5 * SECOND_MS, to: start + 200 * MINUTE_MS };
    const minutes = await asked.queries.series("a", range);
    const rows = await place.sql<{ ts: Date } & Record<string, number>>(
      `select date_trunc('minute', ts) as ts, min(heart_rate)::int as low, round(avg(heart_rate), 1)::float8 as mean,
              max(heart_rate)::int as high, count(*)::int as readings, count(*) filter (where anomaly = 'low')::int as lows, count(*) filter (where anomaly = 'high')::int as highs
         from public.heartbeats
        where ts >= date_trunc('minute', $1::timestamptz) and ts < $2::timestamptz
        group by 1 order by 1`,
      [new Date(range.from), new Date(range.to)],
    );
    ok(rows.length > 150, `${rows.length} minutes`);
    deepStrictEqual(minutes, {
      kind: "minute",
      ...Object.fromEntries(
        ["ts", "low", "mean", "high", "readings", "lows", "highs"].map((
          name,
        ) => [name, rows.map((row) => Number(row[name]))]),
      ),
      truncated: false,
    });
    const raw = await asked.queries.series("a", { from: start, to: start + 94_000 });
    deepStrictEqual(raw, {
      kind: "raw",
      ts: [start, start + 11, start + 47_000, start + 47_011],
      bpm: [30, 41, 67, 78],
      anomaly: ["low", "low", null, null],
      truncated: false,
    });
    deepStrictEqual(await asked.queries.series("b", { from: 0, to: 1 }), {
      kind: "raw",
      ts: [],
      bpm: [],
      anomaly: [],
      truncated: false,
    });
  }),
);

Deno.test(
  "tail returns the readings after an instant, exact to the microsecond, of all followed customers in one query",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    await using written = await openStore(place);
    const value = (customer_id: string, micros: number, heart_rate: number) =>
      JSON.stringify({ customer_id, timestamp: `2026-07-14T09:30:00.${micros}Z`, heart_rate });
    await written.store([
      value("a", 123456, 70),
      value("a", 123457, 190),
      value("b", 500000, 40),
      value("c", 600000, 70),
    ]);
    const start = Date.parse("2026-07-14T09:30:00Z");
    const all = await asked.queries.tail([{ id: "a", after: start }, { id: "b", after: start }]);
    deepStrictEqual(
      all.map(({ ts, ...others }) => ({ ...others, micros: Math.round((ts - start) * 1_000) })),
      [
        { id: "a", bpm: 70, anomaly: null, micros: 123_456 },
        { id: "a", bpm: 190, anomaly: "high", micros: 123_457 },
        { id: "b", bpm: 40, anomaly: "low", micros: 500_000 },
      ],
    );
    strictEqual(asked.statements.length, 1);
    for (const [index, { ts }] of all.slice(0, 2).entries()) {
      const after = await asked.queries.tail([{ id: "a", after: ts }]);
      deepStrictEqual(after.map(({ ts }) => ts), all.slice(index + 1, 2).map(({ ts }) => ts));
    }
    deepStrictEqual(await asked.queries.tail([]), []);
  }),
);

Deno.test(
  "search finds ids by prefix, takes every character literally, and puts scenario customers last",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    await place.sql(
      `insert into public.customer_latest
       select id, now(), 70, null from unnest($1::text[]) id union all select 'many-' || n, now(), 70, null from generate_series(1, 30) n`,
      [[
        "a%b",
        "a\\b",
        "a_b",
        "ab",
        "A",
        "scenario-1",
        "s-1",
        "szz",
        "1000000000000001",
        "1x",
        HOSTILE_CUSTOMER,
      ]],
    );
    const { search } = asked.queries;
    deepStrictEqual(await search("a"), ["a%b", "a\\b", "a_b", "ab"]);
    deepStrictEqual([await search("a%"), await search("a_"), await search("a\\"), await search("x")], [
      ["a%b"],
      ["a_b"],
      ["a\\b"],
      [],
    ]);
    deepStrictEqual(await search("s"), ["s-1", "szz", "scenario-1"]);
    deepStrictEqual(await search("1"), ["1x", "1000000000000001"]);
    deepStrictEqual(await search(HOSTILE_CUSTOMER.slice(0, 9)), [HOSTILE_CUSTOMER]);
    strictEqual((await search("many-")).length, 20);
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
