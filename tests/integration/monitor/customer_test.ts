import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { HOSTILE_CUSTOMER } from "../../support/grafana_day.ts";
import { beat, openQueries, openStore } from "../../support/monitor_queries.ts";
import { onPlace } from "../../support/services.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

const RUNNING_CONSUMER = `
  insert into public.consumer_status (consumer, host, pid, version, group_id, topic, started_at, partitions, log_end_offsets,
         reasons, limits)
  values ('a', 'host', 1, '0', 'g', 't', now(), '{}', '{}', '{}', '{"min":20,"max":230,"low":35,"high":150}')`;

Deno.test(
  "a customer's page has the latest reading at once, and the episodes, the newest first",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    await using written = await openStore(place);
    const now = Date.now();
    const minutesAgo = (minutes: number) => now - minutes * MINUTE_MS;
    const at = (minutes: number, bpm: number) => beat(HOSTILE_CUSTOMER, minutesAgo(minutes), bpm);
    await written.store([
      at(300, 30),
      at(299, 44),
      at(298, 45),
      at(120, 40),
      at(119, 70),
      at(4, 181),
      at(2, 199),
      at(1, 190),
      beat("other", now, 30),
    ]);
    const ask = (minutes: number, end = now + SECOND_MS) =>
      asked.queries.customer(HOSTILE_CUSTOMER, { from: end - minutes * MINUTE_MS, to: end });
    const { latest, episodes, limits, rejects, readings, silences } = await ask(200);
    deepStrictEqual([readings, silences], [5, [
      { from: minutesAgo(119), to: minutesAgo(4) },
      { from: now + SECOND_MS - 200 * MINUTE_MS, to: minutesAgo(120) },
    ]]);
    deepStrictEqual(latest, { ts: now - MINUTE_MS, bpm: 190, anomaly: "high" });
    const low = {
      kind: "low",
      began: minutesAgo(120),
      ended: minutesAgo(120),
      open: false,
      extreme: 40,
      readings: 1,
    };
    const high = {
      kind: "high",
      began: minutesAgo(4),
      ended: minutesAgo(1),
      open: true,
      extreme: 199,
      readings: 3,
    };
    deepStrictEqual(episodes, [high, low]);
    deepStrictEqual(limits, { min: 30, max: 220, low: 45, high: 180 });
    deepStrictEqual(rejects, []);
    deepStrictEqual((await ask(200, minutesAgo(150))).episodes, [
      { kind: "low", began: minutesAgo(300), ended: minutesAgo(299), open: false, extreme: 30, readings: 2 },
    ]);
  }),
);

Deno.test(
  "a customer's page has the limits of the last consumer, and nothing of a customer that does not exist",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    await using written = await openStore(place);
    const now = Date.now();
    const ask = (id: string) => asked.queries.customer(id, { from: now - HOUR_MS, to: now + SECOND_MS });
    await written.store([beat("ada", now - MINUTE_MS, 190)]);
    strictEqual((await ask("ada")).episodes[0]?.open, true);

    await place.sql(RUNNING_CONSUMER);
    await written.store([beat("ada", now, 70)]);
    const later = await ask("ada");
    deepStrictEqual(later.limits, { min: 20, max: 230, low: 35, high: 150 });
    deepStrictEqual([later.latest?.bpm, later.episodes[0]?.open], [70, false]);
    await place.sql("update public.consumer_status set seen_at = now() - interval '1 hour'");
    deepStrictEqual((await ask("ada")).limits, later.limits);

    const unknown = await ask("nobody");
    deepStrictEqual([unknown.latest, unknown.episodes, unknown.readings], [null, [], 0]);
    deepStrictEqual(unknown.silences, [{ from: now - HOUR_MS, to: unknown.at }]);
  }),
);

Deno.test(
  "a silence that goes on does not end with the range, unless the customer has later readings",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    await using written = await openStore(place);
    const now = Date.now();
    const minutesAgo = (minutes: number) => now - minutes * MINUTE_MS;
    const range = { from: minutesAgo(41), to: minutesAgo(20) };
    await written.store([40, 36, 33].map((minutes) => beat("ada", minutesAgo(minutes), 70)));
    const silent = await asked.queries.customer("ada", range);
    deepStrictEqual(silent.silences, [{ from: minutesAgo(33), to: silent.at }]);
    await written.store([beat("ada", minutesAgo(2), 70)]);
    const back = await asked.queries.customer("ada", range);
    deepStrictEqual(back.silences, [{ from: minutesAgo(33), to: range.to }]);
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
              max(heart_rate)::int as high, count(*)::int as readings, count(anomaly)::int as anomalies
         from public.heartbeats
        where ts >= date_trunc('minute', $1::timestamptz) and ts < $2::timestamptz
        group by 1 order by 1`,
      [new Date(range.from), new Date(range.to)],
    );
    ok(rows.length > 150, `${rows.length} minutes`);
    deepStrictEqual(minutes, {
      kind: "minute",
      ...Object.fromEntries(
        ["ts", "low", "mean", "high", "readings", "anomalies"].map((
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
      all,
      [
        { id: "a", ts: start + 123.456, bpm: 70, anomaly: null },
        { id: "a", ts: start + 123.457, bpm: 190, anomaly: "high" },
        { id: "b", ts: start + 500, bpm: 40, anomaly: "low" },
      ].map((reading, n) => ({ ...reading, ts: all[n]?.ts ?? reading.ts })),
    );
    deepStrictEqual(all.map(({ ts }) => Math.round((ts - start) * 1_000)), [123_456, 123_457, 500_000]);
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
