import { deepStrictEqual, strictEqual } from "node:assert";
import { HOSTILE_CUSTOMER } from "../../support/grafana_day.ts";
import { beat, openQueries, openStore, readyConsumer } from "../../support/monitor_queries.ts";
import { onPlace } from "../../support/services.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

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
      extreme: 40,
      readings: 1,
    };
    const high = {
      kind: "high",
      began: minutesAgo(4),
      ended: minutesAgo(1),
      extreme: 199,
      readings: 3,
    };
    deepStrictEqual(episodes, [high, low]);
    deepStrictEqual(limits, { min: 30, max: 220, low: 45, high: 180 });
    deepStrictEqual(rejects, []);
    deepStrictEqual((await ask(200, minutesAgo(150))).episodes, [
      { kind: "low", began: minutesAgo(300), ended: minutesAgo(299), extreme: 30, readings: 2 },
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

    await place.sql(readyConsumer({ min: 20, max: 230, low: 35, high: 150 }));
    await written.store([beat("ada", now, 70)]);
    const later = await ask("ada");
    deepStrictEqual(later.limits, { min: 20, max: 230, low: 35, high: 150 });
    strictEqual(later.latest?.bpm, 70);
    await place.sql("update public.consumer_status set seen_at = now() - interval '1 hour'");
    deepStrictEqual((await ask("ada")).limits, later.limits);

    const unknown = await ask("nobody");
    deepStrictEqual([unknown.latest, unknown.episodes, unknown.readings], [null, [], 0]);
    deepStrictEqual(unknown.silences, []);
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
    const whole = await asked.queries.customer("ada", { from: minutesAgo(30), to: minutesAgo(20) });
    deepStrictEqual(whole.silences, [{ from: minutesAgo(30), to: whole.at }], "it began before the range");
    await written.store([beat("ada", minutesAgo(2), 70)]);
    const back = await asked.queries.customer("ada", range);
    deepStrictEqual(back.silences, [{ from: minutesAgo(33), to: range.to }]);
  }),
);
