import { deepStrictEqual, match, strictEqual } from "node:assert";
import type { Place } from "../../../lab/place.ts";
import {
  askAs,
  type Asked,
  beat,
  openQueries,
  openStore,
  readyConsumer,
} from "../../support/monitor_queries.ts";
import { urlOf } from "../../support/roles.ts";
import { onPlace } from "../../support/services.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;

Deno.test(
  "the list names who is beyond a limit, then who is silent, since when, the longest first, and scenario customers behind others",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    await using written = await openStore(place);
    const now = Date.now();
    const run = (id: string, bpm: number, ...minutesAgo: number[]) =>
      minutesAgo.map((ago) => beat(id, now - ago * MINUTE_MS, bpm));
    await written.store([
      ...run("ends-at-normal", 70, 4),
      ...run("ends-at-normal", 190, 6, 3, 2, 1, 0.1),
      ...run("ends-at-other-kind", 40, 8),
      ...run("ends-at-other-kind", 190, 7, 4, 1),
      ...run("ends-at-silence", 40, 12, 6.9, 3, 0.5),
      ...run("goes-on-over-4-minutes", 40, 16, 12, 8.01, 4, 0.2),
      ...run("no-longer", 190, 3, 2),
      ...run("no-longer", 70, 1),
      ...run("silent", 70, 30),
      ...run("silent-and-high", 190, 20),
      ...run("silent-for-long", 70, 25 * 60),
      ...run("scenario-1-low", 40, 60 * 5),
      ...run("1000000000000001", 40, 4),
    ]);
    const { attention, customers } = await asked.queries.now();
    deepStrictEqual(
      attention.map(({ customerId, kind, since, heartRate }) => [
        customerId,
        kind,
        Math.round((now - since) / SECOND_MS) / 60,
        heartRate,
      ]),
      [
        ["goes-on-over-4-minutes", "low", 16, 40],
        ["ends-at-silence", "low", 6.9, 40],
        ["ends-at-other-kind", "high", 7, 190],
        ["ends-at-normal", "high", 3, 190],
        ["1000000000000001", "low", 4, 40],
        ["silent", "silent", 30, 70],
        ["silent-and-high", "silent", 20, 190],
        ["scenario-1-low", "silent", 300, 40],
      ],
    );
    deepStrictEqual(customers, { reporting: 6, low: 3, high: 2, silent: 3 });
  }),
);

const searches = ({ statements }: Asked) =>
  statements.filter(({ sql }) => sql.includes("is distinct from wanted.kind")).length;

Deno.test(
  "an unchanged episode costs no query, new readings extend it, and a reading within the limits ends it",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    await using written = await openStore(place);
    const now = Date.now();
    const since = async () =>
      (await asked.queries.now()).attention.map((one) => Math.round((one.since - now) / SECOND_MS));
    await written.store([200, 100, 50].map((ago) => beat("a", now - ago * SECOND_MS, 190)));
    deepStrictEqual(await since(), [-200]);
    strictEqual(searches(asked), 1);
    deepStrictEqual([await since(), await since()], [[-200], [-200]]);
    strictEqual(searches(asked), 1);
    await written.store([beat("a", now - 30 * SECOND_MS, 191)]);
    deepStrictEqual(await since(), [-200]);
    strictEqual(searches(asked), 2);
    await written.store([beat("a", now - 25 * SECOND_MS, 70), beat("a", now - 20 * SECOND_MS, 192)]);
    deepStrictEqual(await since(), [-20]);
    await written.store([beat("a", now - 15 * SECOND_MS, 40)]);
    deepStrictEqual(await since(), [-15]);
    await written.store([beat("a", now - 10 * SECOND_MS, 70)]);
    deepStrictEqual(await since(), []);
  }),
);

/** Stores readings without a change row, and what the rollup would make of them. */
async function insert(place: Place, readings: string): Promise<void> {
  await place.sql(`insert into public.heartbeats (customer_id, ts, heart_rate, anomaly) ${readings}`);
  await place.sql("delete from public.customer_latest");
  await place.sql(
    `insert into public.customer_latest
     select distinct on (customer_id) * from public.heartbeats order by customer_id, ts desc`,
  );
  await place.sql("update public.rollup set committed_at = now()");
}

Deno.test(
  "one poll reads at most 20,000 readings for the list; a longer episode is complete after several polls",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    await insert(
      place,
      `select 'a', now() - n * interval '1 second', 190, 'high' from generate_series(1, 50000) n`,
    );
    const lasting: number[] = [];
    for (let poll = 0; poll < 5; poll++) {
      const { at, attention } = await asked.queries.now();
      lasting.push(Math.round((at - (attention[0]?.since ?? NaN)) / (10_000 * SECOND_MS)));
    }
    deepStrictEqual(lasting, [2, 4, 5, 5, 5]);
    strictEqual(searches(asked), 3);
  }),
);

Deno.test(
  "the list is short, and has no silent customer while those beyond a limit fill it",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    await insert(
      place,
      `select 'silent-' || n, now() - interval '1 hour' - n * interval '1 second', 70, null from generate_series(1, 500) n
        union all
       select 'high-' || n, now() - n * interval '1 millisecond', 190, 'high' from generate_series(1, 400) n`,
    );
    for (const { attention, customers } of [await asked.queries.now(), await asked.queries.now()]) {
      strictEqual(attention.length, 50);
      deepStrictEqual(new Set(attention.map(({ kind }) => kind)), new Set(["high"]));
      strictEqual(attention[0]?.customerId, "high-400");
      deepStrictEqual([customers.high, customers.silent], [400, 500]);
    }
  }),
);

Deno.test(
  "a customer stays at the end of the list for 10 minutes after several readings beyond a limit",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    await using written = await openStore(place);
    const now = Date.now();
    await written.store([
      beat("beyond", now, 190),
      beat("lately", now, 70),
      beat("rarely", now, 70),
      beat("over", now, 70),
      beat("silent", now - 60 * MINUTE_MS, 70),
    ]);
    await place.sql(
      `insert into public.heartbeats_1m (customer_id, minute, readings, heart_rate_sum, heart_rate_min, heart_rate_max, low, high)
       select id, date_trunc('minute', now()) - ago * interval '1 minute', 10, 600, 38, 191, low, high
         from (values ('beyond', 1, 0, 1), ('lately', 2, 3, 0), ('lately', 5, 2, 1), ('rarely', 3, 2, 0), ('over', 11, 0, 9)) known (id, ago, low, high)`,
    );
    const { attention } = await asked.queries.now();
    deepStrictEqual(
      attention.map(({ customerId, kind, lately, heartRate }) => [customerId, kind, lately, heartRate]),
      [
        ["beyond", "high", undefined, 190],
        ["silent", "silent", undefined, 70],
        ["lately", "low", 6, 38],
      ],
    );

    const askAgain = async () => {
      await using again = askAs(urlOf(place, "heartbeat_reader"));
      return await again.queries.now();
    };
    await place.sql("alter table public.heartbeats_1m rename to gone");
    const { problems } = await askAgain();
    match(problems.map(({ text }) => text).join("\n"), /lately beyond a limit could not be read/);
    await place.sql("alter table public.gone rename to heartbeats_1m");
    await place.sql(readyConsumer());
    await place.sql("update public.heartbeats_1m set minute = minute - interval '2 days'");
    await place.sql("update public.ingest_offsets set last_batch_at = last_batch_at - interval '2 days'");
    deepStrictEqual(
      (await askAgain()).attention.filter(({ lately }) => lately !== undefined),
      [],
      "long ago",
    );
  }),
);
