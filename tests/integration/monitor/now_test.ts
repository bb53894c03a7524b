import { setTimeout as sleep } from "node:timers/promises";
import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert";
import { eventually } from "../../../lab/eventually.ts";
import type { Place } from "../../../lab/place.ts";
import type { Queries } from "../../../workers/monitor/queries/queries.ts";
import type { Now } from "../../../workers/monitor/view/view.ts";
import { reading } from "../../support/judge.ts";
import { askAs, beat, openQueries, openStore, readyConsumer } from "../../support/monitor_queries.ts";
import { urlOf } from "../../support/roles.ts";
import { onPlace } from "../../support/services.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** What the rows say about the customers, without the rollup and without the monitor's memory. */
async function byRows(place: Place, { at }: Now) {
  const rows = await place.sql<{ state: string; step: number }>(
    `select case when ts <= $1::timestamptz - interval '5 minutes' then 'silent' else coalesce(anomaly, 'within') end as state,
            heart_rate / 5 * 5 as step
       from (select distinct on (customer_id) * from public.heartbeats
              where ts > $1::timestamptz - interval '1 day' order by customer_id, ts desc) latest`,
    [new Date(at)],
  );
  const reporting = rows.filter(({ state }) => state !== "silent");
  const count = (kind: string) => rows.filter(({ state }) => state === kind).length;
  const steps = Map.groupBy(reporting, ({ step }) => step);
  return {
    customers: {
      reporting: reporting.length,
      low: count("low"),
      high: count("high"),
      silent: count("silent"),
    },
    distribution: [...steps].map(([from, of]) => ({ from, customers: of.length })).sort((a, b) =>
      a.from - b.from
    ),
  };
}

async function assertExact(place: Place, queries: Queries): Promise<Now> {
  const now = await queries.now();
  const { customers, distribution } = now;
  deepStrictEqual({ customers, distribution }, await byRows(place, now));
  return now;
}

Deno.test(
  "Now is exact at commit time while the rollup stands still, while it catches up, and afterwards",
  onPlace({}, async (place) => {
    await using asked = await openQueries(place);
    const start = Date.now();
    const send = (count: number, beatOf: (n: number) => readonly [string, number, number]) =>
      place.publisher.send(Array.from({ length: count }, (_, n) => {
        const [id, at, bpm] = beatOf(n);
        return reading(id, new Date(at).toISOString(), bpm);
      }));
    await send(300, (n) => [`c-${n}`, start - (n % 3 === 0 ? HOUR_MS : n * 10), 40 + n % 150]);
    await place.consumeAll();
    const first = await assertExact(place, asked.queries);
    strictEqual(first.customers.silent, 100);

    const consumer = place.consumer();
    await consumer.untilReady();
    const holder = await place.session();
    await holder.query("begin; select from public.rollup for update");
    for (const round of [1, 2]) {
      await send(200, (n) => [`c-${n * round}`, start + round * 1_000 + n, 30 + (n * 7 * round) % 190]);
      // Older than what is stored, and too old to count.
      await send(20, (n) => [`c-${n}`, start - 2 * HOUR_MS - n, 60]);
      await send(20, (n) => [`old-${n}`, start - 30 * HOUR_MS, 60]);
      await place.untilStored();
      const now = await assertExact(place, asked.queries);
      ok(now.rollupLagSeconds > 0, "the rollup stands still");
    }
    await using fresh = askAs(urlOf(place, "heartbeat_reader"));
    const loaded = await assertExact(place, fresh.queries);
    await holder.end();
    await place.untilCaughtUp();
    const now = await assertExact(place, asked.queries);
    deepStrictEqual([loaded.customers, loaded.attention.length], [now.customers, now.attention.length]);
    await send(50, (n) => [`c-${n}`, start + 5_000 + n, 200]);
    await eventually("the rollup to delete the change rows", async () => {
      const [left] = await place.sql("select from public.ingest_changes");
      return left === undefined &&
        (await place.sql("select from public.heartbeats where heart_rate = 200")).length >= 50;
    });
    await assertExact(place, asked.queries);
  }),
);

Deno.test(
  "Now reads only what changed since the last poll, and all of it after an error",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    await using written = await openStore(place);
    await written.store(Array.from({ length: 100 }, (_, n) => beat(`c-${n}`, Date.now() - n, 70)));
    const sizes = () =>
      asked.statements.filter(({ sql }) => sql.includes("age(xmin)"))
        .map(({ rows: [changed] }) => (changed as { ids: unknown[] }).ids.length);
    await asked.queries.now();
    await written.store([beat("c-1", Date.now(), 71)]);
    await asked.queries.now();
    await asked.queries.now();
    deepStrictEqual(sizes(), [100, 1, 0]);
    await place.sql("alter table public.customer_latest rename to gone");
    await rejects(asked.queries.now(), /The consumer has not created the tables/);
    await place.sql("alter table public.gone rename to customer_latest");
    await asked.queries.now();
    deepStrictEqual(sizes(), [100, 1, 0, 101]);
  }),
);

Deno.test(
  "without tables, every question fails with the sentence that says what is missing",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = askAs(place.databaseUrl);
    const range = { from: Date.now() - HOUR_MS, to: Date.now() };
    const filter = { range, reason: undefined, customerId: undefined, before: undefined };
    for (
      const ask of [
        () => asked.queries.now(),
        () => asked.queries.state(),
        () => asked.queries.customer("a", range),
        () => asked.queries.series("a", range),
        () => asked.queries.tail([{ id: "a", after: range.from }]),
        () => asked.queries.search("a"),
        () => asked.queries.rejects(filter),
        () => asked.queries.rejected(),
        () => asked.queries.csv("a", range).next(),
        () => asked.queries.ledger(),
      ]
    ) {
      const error = await ask().then(() => undefined, (error) => error);
      match(
        String(error),
        /The consumer has not created the tables .* yet. Start it: deno task consume/,
        String(ask),
      );
    }
  }),
);

Deno.test(
  "with tables and without readings, Now is empty, and its only problem is that no consumer runs",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    const { attention, distribution, delayMs, lagRecords, problems } = await asked.queries.now();
    deepStrictEqual({ attention, distribution, delayMs, lagRecords }, {
      attention: [],
      distribution: [],
      delayMs: null,
      lagRecords: null,
    });
    match(
      problems.map(({ text }) => text).join("\n"),
      /^No consumer reports: .*Start one: deno task consume$/,
    );
  }),
);

Deno.test(
  "Now has the rate of stored readings, the delay, the lag and the limits of the running consumer",
  onPlace({}, async (place) => {
    await using asked = await openQueries(place);
    const consumer = place.consumer({ env: { HEART_RATE_LOW: "50" } });
    await consumer.untilReady();
    await asked.queries.now();
    const before = Date.now();
    await place.publisher.send(
      Array.from({ length: 100 }, (_, n) => reading(`c-${n}`, new Date().toISOString(), 47)),
    );
    await place.untilStored();
    const now = await asked.queries.now();
    const expected = 100 / ((Date.now() - before) / 1_000);
    ok(
      (now.readingsPerSecond ?? 0) > expected / 4,
      `${now.readingsPerSecond} readings/s, expected about ${expected}`,
    );
    ok(now.delayMs !== null && now.delayMs > 0 && now.delayMs < 30_000, `${now.delayMs} ms`);
    deepStrictEqual(now.limits, { min: 30, max: 220, low: 50, high: 180 });
    strictEqual(now.customers.low, 100);
    const ready = await eventually("the end of the log", async () => {
      const { lagRecords, problems } = await asked.queries.now();
      return lagRecords === 0 && problems;
    });
    deepStrictEqual(ready, []);
  }),
);

Deno.test(
  "while no consumer reads, Now stays as it was when the last one did, and so does everybody's silence",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    await using written = await openStore(place);
    const start = Date.now();
    await written.store([
      beat("reports", start, 70),
      beat("alarm", start, 190),
      beat("silent", start - HOUR_MS, 70),
    ]);
    deepStrictEqual((await asked.queries.now()).unknownSince, null);
    // As if all had happened two days ago.
    await place.sql(`
      update public.ingest_changes
         set last_ts = array(select ts - interval '2 days' from unnest(last_ts) with ordinality as entry (ts, at) order by at);
      update public.ingest_offsets set last_batch_at = last_batch_at - interval '2 days'`);
    await using fresh = askAs(urlOf(place, "heartbeat_reader"));
    const { at, unknownSince, customers, hasStored, problems } = await fresh.queries.now();
    ok(unknownSince !== null && at - unknownSince > 47 * HOUR_MS, `unknown since ${unknownSince}`);
    deepStrictEqual([customers, hasStored], [{ reporting: 2, low: 0, high: 1, silent: 1 }, true]);
    match(problems[0]?.text ?? "", /Readings wait in Kafka; none is lost/);
    const state = await fresh.queries.state();
    deepStrictEqual([state.unknownSince, state.problems], [unknownSince, problems]);
  }),
);

Deno.test(
  "just after the database failed, it is unknown whether a consumer runs that could not report",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    await place.sql(readyConsumer());
    deepStrictEqual((await asked.queries.now()).problems, []);
    await place.sql("alter table public.customer_latest rename to gone");
    await rejects(asked.queries.now());
    await place.sql("alter table public.gone rename to customer_latest");
    // A report may be older than usual by the time since the failure.
    await sleep(1_500);
    await place.sql("update public.consumer_status set seen_at = now() - interval '10.5 seconds'");
    const { problems, stands } = await asked.queries.now();
    match(
      problems.map(({ text }) => text).join("\n"),
      /^The database answers again\. .* unknown whether one runs\.$/,
    );
    strictEqual(stands, false);
  }),
);

Deno.test(
  "a customer who is silent for more than a day is counted, and the delay of a clock that is ahead is below 0",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    await using written = await openStore(place);
    await place.sql(
      `insert into public.customer_latest
       select id, now() - hours * interval '1 hour', 70, null
         from (values ('gone', 26), ('scenario-1', 25), ('gone-later', 25)) known (id, hours)`,
    );
    await written.store([beat("ahead", Date.now() + 60_000, 70)]);
    const { customers, longSilent, delayMs } = await asked.queries.now();
    strictEqual(customers.reporting, 1);
    deepStrictEqual(longSilent, { customers: 3, newest: ["gone-later", "gone", "scenario-1"] });
    ok(delayMs !== null && delayMs < -50_000, `${delayMs} ms`);
  }),
);

Deno.test(
  "Now reports how far the rollup and the consumer are behind, a rebuild, and the reasons of consumers",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    await place.sql(
      `insert into public.ingest_offsets (topic, topic_id, kafka_partition, first_offset, next_offset, stored, moves, updated_at, last_record_at)
       values ('t', '00000000-0000-0000-0000-000000000001', 0, 0, 10, 10, 1, now() - interval '90 seconds', now() - interval '4 minutes')`,
    );
    await place.sql("update public.rollup set cursor = '2026-07-14T09:31:00Z'");
    await place.sql(
      `insert into public.consumer_status (consumer, host, pid, version, group_id, topic, topic_id, started_at, partitions,
              log_end_offsets, reasons, limits)
       values ('a', 'host', 1, '0', 'g', 't', '00000000-0000-0000-0000-000000000001', now(), '{0}', '{5010}',
               '{"kafka: Cannot reach Kafka"}', '{"min":30,"max":220,"low":45,"high":180}')`,
    );
    const { problems, lagRecords, rollupLagSeconds } = await asked.queries.now();
    // Seconds pass during the test.
    const texts = problems.map(({ text }) => text.replace(/ min \d+ s /g, " min ").slice(0, 75));
    deepStrictEqual(problems.map(({ part }, index) => `${part}: ${texts[index]}`), [
      "broker: The consumer is not ready: kafka: Cannot reach Kafka",
      "lag: The consumer is 4 min behind: 5\u202f000 records in Kafka are not stored yet. If",
      "rollup: The rollup rebuilds minutes and latest readings, the newest first. It has r",
      "rollup: The rollup is 1 min and 10 records behind. Until it has caught up, dashboar",
    ]);
    strictEqual(lagRecords, 5_000);
    ok(rollupLagSeconds >= 90 && rollupLagSeconds < 150, `${rollupLagSeconds} s`);
    await place.sql("update public.consumer_status set seen_at = now() - interval '130 seconds'");
    const stopped = await asked.queries.now();
    match(
      stopped.problems[0]?.text ?? "",
      /^No consumer has reported for 2 min( \d+ s)?\. Readings wait in Kafka; none is lost\./,
    );
    strictEqual(stopped.lagRecords, null);
  }),
);
