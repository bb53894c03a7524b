/** A wall clock that jumps while the consumer runs. Time decides what is rejected and what is dropped, so both are at risk. */
import { deepStrictEqual, doesNotMatch, strictEqual } from "node:assert";
import { eventually } from "../../lab/eventually.ts";
import { bad, type Intended, judge, reading } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import { onPlace } from "../support/services.ts";
import { WrongClock } from "../support/wrong_clock.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const TEN_YEARS_MS = 3_653 * DAY_MS;
/** Two hundred days forward make what is 300 days old look older than what is kept. */
const JUMPS: readonly number[] = [HOUR_MS, 200 * DAY_MS, TEN_YEARS_MS, 0, -HOUR_MS, -TEN_YEARS_MS, 0];
const KEPT = { RETENTION_DAYS: "400", MINUTE_RETENTION_DAYS: "400", LOG_SUMMARY_SECONDS: "1" };

function agoText(ms: number): string {
  return new Date(Date.now() - ms).toISOString();
}

/** Puts a partition and a minute where everybody's clock calls them old, and waits until they are gone: a whole round. */
async function retentionHadItsTurn(place: Place): Promise<void> {
  await place.sql(
    "select public.ensure_heartbeat_partition('public.heartbeats', now() - interval '2000 days')",
  );
  await place.sql(
    `insert into public.heartbeats_1m (customer_id, minute, readings, heart_rate_sum, heart_rate_min, heart_rate_max, low, high)
     values ('bait', date_trunc('minute', now() - interval '2000 days'), 1, 72, 72, 72, 0, 0)`,
  );
  await eventually("the old partition and the old minute to be dropped", async () => {
    const [left] = await place.sql<{ count: string }>(
      `select (select count(*) from public.heartbeats_1m where customer_id = 'bait')
            + (select count(*) from public.heartbeat_partitions('public.heartbeats') where upper_bound < now() - interval '1500 days')
              as count`,
    );
    return left?.count === "0";
  });
}

Deno.test(
  "the clock jumps an hour and ten years, forward and back: nothing good is rejected, nothing wanted is dropped, nothing stops",
  onPlace({ partitions: 2 }, async (place) => {
    await using clock = await WrongClock.make();
    const consumer = place.consumer({ env: KEPT, preload: clock.preload });
    const sent = [];
    for (const [nth, shiftMs] of JUMPS.entries()) {
      await consumer.said("group.assigned");
      await clock.set(consumer, shiftMs);
      const records: Intended[] = [0, 1].flatMap((partition) => [
        reading(`now-${nth}`, agoText(partition), 72, { partition }),
        reading(`an hour ago-${nth}`, agoText(HOUR_MS + partition), 72, { partition }),
        reading(`300 days ago-${nth}`, agoText(300 * DAY_MS + partition), 72, { partition }),
        bad("timestamp_in_future", {
          customer_id: "c",
          timestamp: agoText(-2 * TEN_YEARS_MS),
          heart_rate: 72,
        }, { partition }),
      ]);
      const summaries = consumer.events("store.summary").length;
      sent.push(...await place.publisher.send(records));
      await place.caughtUp();
      // Our clock behind, nothing is old by both: there is nothing to wait for then.
      if (shiftMs >= 0) await retentionHadItsTurn(place);
      await eventually("a summary", () => consumer.events("store.summary").length > summaries);
      await eventually("the metric to say how wrong it is", async () => {
        return Math.abs(await consumer.metric("heartbeat_clock_ahead_seconds") - shiftMs / 1000) < 30;
      });
      strictEqual((await consumer.get("/livez")).status, 200);
      strictEqual((await consumer.get("/readyz")).status, 200);
      await judge(place, sent);
    }
    strictEqual(consumer.events("clock.differs").length, 2, "forward and back");
    strictEqual(consumer.events("clock.agrees").length, 2);
    const absurd = await place.sql(
      "select partition::text from public.heartbeat_partitions('public.heartbeats') where lower_bound > now() + interval '4 days'",
    );
    deepStrictEqual(absurd, [], "no partition for a day that only the wrong clock knows");
    const { text } = await consumer.get("/metrics");
    doesNotMatch(text, /^heartbeat_(?!clock_ahead)\S+ (-|NaN)/m);
    strictEqual(await consumer.stop(), 0);
  }),
);
