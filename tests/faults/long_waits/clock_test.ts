import { deepStrictEqual, doesNotMatch, strictEqual } from "node:assert";
import { eventually } from "../../../lab/eventually.ts";
import { bad, type Intended, judge, reading } from "../../support/judge.ts";
import type { Place } from "../../../lab/place.ts";
import { onPlace } from "../../support/services.ts";
import { WrongClock } from "../../support/wrong_clock.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const TEN_YEARS_MS = 3_653 * DAY_MS;
/** If its clock is 200 days ahead, a reading from 300 days ago seems older than RETENTION_DAYS to the consumer. */
const JUMPS: readonly number[] = [HOUR_MS, 200 * DAY_MS, TEN_YEARS_MS, 0, -HOUR_MS, -TEN_YEARS_MS, 0];
const SETTINGS = { RETENTION_DAYS: "400", MINUTE_RETENTION_DAYS: "400", LOG_SUMMARY_SECONDS: "1" };

function ago(ms: number): string {
  return new Date(Date.now() - ms).toISOString();
}

/** Creates a day partition and a minute aggregate that are old by every clock, and waits until retention drops them. */
async function waitForRetention(place: Place): Promise<void> {
  await place.sql(
    "select public.ensure_heartbeat_partition('public.heartbeats', now() - interval '2000 days')",
  );
  await place.sql(
    `insert into public.heartbeats_1m (customer_id, minute, readings, heart_rate_sum, heart_rate_min, heart_rate_max, low, high)
     values ('old', date_trunc('minute', now() - interval '2000 days'), 1, 72, 72, 72, 0, 0)`,
  );
  await eventually("the old day partition and minute aggregate to be dropped", async () => {
    const [left] = await place.sql<{ count: string }>(
      `select (select count(*) from public.heartbeats_1m where customer_id = 'old')
            + (select count(*) from public.heartbeat_partitions('public.heartbeats') where upper_bound < now() - interval '1500 days')
              as count`,
    );
    return left?.count === "0";
  });
}

Deno.test(
  "when its clock jumps by an hour or ten years, a consumer rejects no valid reading and drops no day that it should keep",
  onPlace({ partitions: 2 }, async (place) => {
    await using clock = await WrongClock.make();
    const consumer = place.consumer({ env: SETTINGS, preload: clock.preload });
    const sent = [];
    for (const [index, shiftMs] of JUMPS.entries()) {
      await consumer.untilLogged("group.assigned");
      await clock.set(consumer, shiftMs);
      const records: Intended[] = [0, 1].flatMap((partition) => [
        reading(`now-${index}`, ago(partition), 72, { partition }),
        reading(`an hour ago-${index}`, ago(HOUR_MS + partition), 72, { partition }),
        reading(`300 days ago-${index}`, ago(300 * DAY_MS + partition), 72, { partition }),
        bad("timestamp_in_future", {
          customer_id: "c",
          timestamp: ago(-2 * TEN_YEARS_MS),
          heart_rate: 72,
        }, { partition }),
      ]);
      const summaries = consumer.events("store.summary").length;
      sent.push(...await place.publisher.send(records));
      await place.untilCaughtUp();
      // If its clock is years behind, the consumer considers no day old, so it drops none.
      if (shiftMs >= 0) await waitForRetention(place);
      await eventually("a summary", () => consumer.events("store.summary").length > summaries);
      await eventually("the metric to show the difference of the clocks", async () => {
        return Math.abs(await consumer.metric("heartbeat_clock_ahead_seconds") - shiftMs / 1000) < 30;
      });
      strictEqual((await consumer.get("/livez")).status, 200);
      strictEqual((await consumer.get("/readyz")).status, 200);
      await judge(place, sent);
    }
    strictEqual(
      consumer.events("clock.differs").length,
      2,
      "one event for the jumps forward, one for the jumps back",
    );
    strictEqual(consumer.events("clock.agrees").length, 2);
    const future = await place.sql(
      "select partition::text from public.heartbeat_partitions('public.heartbeats') where lower_bound > now() + interval '4 days'",
    );
    deepStrictEqual(future, [], "the consumer created day partitions by its wrong clock");
    const { text } = await consumer.get("/metrics");
    doesNotMatch(text, /^heartbeat_(?!clock_ahead)\S+ (-|NaN)/m);
    strictEqual(await consumer.stop(), 0);
  }),
);
