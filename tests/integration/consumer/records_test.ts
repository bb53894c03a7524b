import { deepStrictEqual } from "node:assert";
import { judge, reading } from "../../support/judge.ts";
import { onPlace } from "../../support/services.ts";

const T = "2026-07-14T09:30:00Z";

Deno.test(
  "each reading from year 1 to now becomes one row that is exact to the microsecond",
  onPlace({}, async (place) => {
    const sent = await place.publisher.send([
      reading("a", "2026-07-14T09:30:00.123456Z", 72),
      reading("a", "2026-07-14T09:30:00.123457Z", 73),
      reading("a", "0001-01-01T00:00:00.000001Z", 74),
      reading("a", "1752-09-03T00:00:00+02:00", 75),
      reading("a", "1969-12-31T23:59:59.999999Z", 76),
      reading("Zoë 🫀 \"'; drop table heartbeats; --", T, 44),
      reading("ab", T, 181),
      reading("B", T, 45),
    ]);
    await place.consumeAll();
    await judge(place, sent);
    const rows = await place.sql(
      `select customer_id, ts::text, heart_rate, anomaly from public.heartbeats order by customer_id, ts`,
    );
    deepStrictEqual(rows.map((row) => Object.values(row)), [
      ["B", "2026-07-14 09:30:00+00", 45, null],
      ["Zoë 🫀 \"'; drop table heartbeats; --", "2026-07-14 09:30:00+00", 44, "low"],
      ["a", "0001-01-01 00:00:00.000001+00", 74, null],
      ["a", "1752-09-02 22:00:00+00", 75, null],
      ["a", "1969-12-31 23:59:59.999999+00", 76, null],
      ["a", "2026-07-14 09:30:00.123456+00", 72, null],
      ["a", "2026-07-14 09:30:00.123457+00", 73, null],
      ["ab", "2026-07-14 09:30:00+00", 181, "high"],
    ]);
  }),
);

Deno.test(
  "several consumers store each record once even if a customer's records are in several partitions or have no key",
  onPlace({ partitions: 6 }, async (place) => {
    const consumers = [1, 2, 3].map(() => place.consumer());
    await Promise.all(consumers.map((consumer) => consumer.untilLogged("group.assigned")));
    const sent = [];
    for (let round = 0; round < 5; round++) {
      const records = Array.from({ length: 300 }, (_, index) => {
        const second = String(index % 60).padStart(2, "0");
        return reading("a", `2026-07-14T09:${10 + (index % 7)}:${second}Z`, 70, {
          partition: (index + round) % 6,
          ...(index % 2 === 0 ? { key: null } : {}),
        });
      });
      sent.push(...await place.publisher.send(records));
    }
    await place.untilCaughtUp();
    await judge(place, sent);
  }),
);
