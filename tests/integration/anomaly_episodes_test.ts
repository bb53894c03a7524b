import { deepStrictEqual, match, strictEqual } from "node:assert";
import fc from "fast-check";
import { withClient } from "../../stack/postgres/postgres_client.ts";
import type { Place } from "../../lab/place.ts";
import { property } from "../support/property.ts";
import { makeRoles, urlOf } from "../support/roles.ts";
import { onPlace } from "../support/services.ts";

const MINUTE = 60_000;
const FIVE_MINUTES = 5 * MINUTE;
const DAY = 1_440 * MINUTE;
const BEGIN = Date.parse("2026-07-14T22:00:00Z");

/** `ts`: milliseconds since the Unix epoch. */
interface Reading {
  readonly ts: number;
  readonly bpm: number;
}
interface Episode {
  readonly anomaly: "low" | "high";
  readonly began: number;
  readonly ended: number;
  readonly extreme: number;
  readonly readings: number;
}

function kindOf({ bpm }: Reading): "low" | "high" | null {
  return bpm < 45 ? "low" : bpm > 180 ? "high" : null;
}

/** The specification (2a.6) as a loop. */
function expectedEpisodes(readings: readonly Reading[], since: number, until: number): Episode[] {
  const episodes: Episode[] = [];
  let last: Reading | undefined;
  for (const reading of readings.filter(({ ts }) => ts >= since - DAY && ts <= until + DAY)) {
    const anomaly = kindOf(reading);
    const current = episodes.at(-1);
    const continues = last !== undefined && kindOf(last) === anomaly && reading.ts - last.ts <= FIVE_MINUTES;
    last = reading;
    if (anomaly === null) continue;
    const { ts, bpm } = reading;
    if (!continues || current === undefined) {
      episodes.push({ anomaly, began: ts, ended: ts, extreme: bpm, readings: 1 });
      continue;
    }
    const extreme = anomaly === "low" ? Math.min(current.extreme, bpm) : Math.max(current.extreme, bpm);
    episodes[episodes.length - 1] = { ...current, ended: ts, extreme, readings: current.readings + 1 };
  }
  return episodes.filter(({ began, ended }) => began < until && ended >= since);
}

async function prepare(place: Place): Promise<void> {
  strictEqual(await place.consumer({ args: ["--migrate-only"] }).exitCode(), 0);
  // Days of their own for the 14th to the 18th; the other readings are in the default partition.
  for (let day = 0; day < 5; day++) {
    const name = `heartbeats_day${day}`;
    const [from, to] = [day, day + 1].map((n) => new Date(Date.parse("2026-07-14") + n * DAY).toISOString());
    await place.sql(
      `create table public.${name} partition of public.heartbeats for values from ('${from}') to ('${to}')`,
    );
  }
}

async function insert(place: Place, customer: string, readings: readonly Reading[]): Promise<void> {
  await place.sql(
    `insert into public.heartbeats
     select $1, to_timestamp(ts / 1000), bpm, anomaly from unnest($2::float8[], $3::int2[], $4::text[]) _ (ts, bpm, anomaly)`,
    [customer, readings.map(({ ts }) => ts), readings.map(({ bpm }) => bpm), readings.map(kindOf)],
  );
}

async function episodes(place: Place, customer: string, since: number, until: number): Promise<Episode[]> {
  return await place.sql<Episode & Record<string, unknown>>(
    `select anomaly, (extract(epoch from began) * 1000)::float8 as began, (extract(epoch from ended) * 1000)::float8 as ended,
            extreme, readings::int
       from public.anomaly_episodes($1, to_timestamp($2::float8 / 1000), to_timestamp($3::float8 / 1000))`,
    [customer, since, until],
  );
}

const GAPS = [
  1_000,
  60_000,
  FIVE_MINUTES - 1,
  FIVE_MINUTES,
  FIVE_MINUTES + 1,
  10 * MINUTE,
  7 * 60 * MINUTE,
  DAY,
];

Deno.test(
  "anomaly_episodes() returns the episodes of the specification for any readings and any range",
  onPlace({ partitions: 0 }, async (place) => {
    await prepare(place);
    let run = 0;
    const gap = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(1_000, MINUTE) }, fc.constantFrom(...GAPS));
    const bpm = fc.oneof(fc.constantFrom(44, 181, 70), fc.integer({ min: 30, max: 220 }));
    const history = fc.array(fc.tuple(gap, bpm), { maxLength: 60 });
    // Most ends of a range are at a reading or a millisecond beside it.
    const end = fc.record({ index: fc.nat(59), shift: fc.constantFrom(-1, 0, 1, -DAY, DAY, MINUTE) });
    await fc.assert(
      fc.asyncProperty(history, end, end, async (steps, one, other) => {
        let ts = BEGIN;
        const readings = steps.map(([gap, bpm]) => ({ ts: ts += gap, bpm }));
        const at = ({ index, shift }: { index: number; shift: number }) =>
          (readings[index]?.ts ?? BEGIN) + shift;
        const [since = 0, until = 0] = [at(one), at(other)].sort((a, b) => a - b);
        const customer = `c-${run++}`;
        await insert(place, customer, readings);
        deepStrictEqual(
          await episodes(place, customer, since, until),
          expectedEpisodes(readings, since, until),
        );
      }),
      property("episodes", 200),
    );
  }),
);

Deno.test(
  "an episode ends at a reading within the limits, at one beyond the other limit, and after more than five minutes of silence",
  onPlace({ partitions: 0 }, async (place) => {
    await prepare(place);
    const at = (seconds: number, bpm: number) => ({ ts: BEGIN + seconds * 1_000, bpm });
    await insert(place, "a", [
      at(0, 40),
      at(60, 38),
      at(120, 45),
      at(180, 41),
      at(240, 200),
      at(300, 190),
      at(301, 44),
    ]);
    // Exactly five minutes, and one microsecond more.
    await insert(place, "b", [at(0, 181), at(300, 183)]);
    await place.sql(
      `insert into public.heartbeats select 'b', max(ts) + interval '300.000001 s', 182, 'high' from public.heartbeats where customer_id = 'b'`,
    );
    await insert(place, "other", [at(30, 70), at(299, 70)]);
    const found = (customer: string) =>
      place.sql(
        `select anomaly, extract(epoch from began - to_timestamp($2))::float8 as began, duration::text, extreme, readings::int
           from public.anomaly_episodes($1, '-infinity', 'infinity')`,
        [customer, BEGIN / 1_000],
      );
    deepStrictEqual(await found("a"), [
      { anomaly: "low", began: 0, duration: "00:01:00", extreme: 38, readings: 2 },
      { anomaly: "low", began: 180, duration: "00:00:00", extreme: 41, readings: 1 },
      { anomaly: "high", began: 240, duration: "00:01:00", extreme: 200, readings: 2 },
      { anomaly: "low", began: 301, duration: "00:00:00", extreme: 44, readings: 1 },
    ]);
    deepStrictEqual(await found("b"), [
      { anomaly: "high", began: 0, duration: "00:05:00", extreme: 183, readings: 2 },
      { anomaly: "high", began: 600.000001, duration: "00:00:00", extreme: 182, readings: 1 },
    ]);
    deepStrictEqual([await found("other"), await found("nobody")], [[], []]);
  }),
);

Deno.test(
  "an episode that crosses an end of the range is whole, across midnight too, and is cut 24 hours beyond the end",
  onPlace({ partitions: 0 }, async (place) => {
    await prepare(place);
    // Low every four minutes from 22:00 to 22:00 three days later, through three day partitions.
    const step = 4 * MINUTE;
    const night = Array.from({ length: 3 * DAY / step + 1 }, (_, n) => ({ ts: BEGIN + n * step, bpm: 40 }));
    await insert(place, "long", night);
    const [began, ended] = [BEGIN, BEGIN + 3 * DAY];
    const ask = async (since: number, until: number) =>
      (await episodes(place, "long", since, until)).map(({ began, ended }) => [began, ended]);
    deepStrictEqual(await ask(began + DAY, ended - DAY), [[began, ended]]);
    // A range between two readings of the episode.
    deepStrictEqual(await ask(began + DAY + 1, began + DAY + 2), [[began + step, began + 2 * DAY]]);
    // The ends: `since` belongs to the range, `until` does not.
    deepStrictEqual(await ask(ended, ended + DAY), [[ended - DAY, ended]]);
    deepStrictEqual(await ask(ended + 1, ended + DAY), []);
    deepStrictEqual(await ask(began - DAY, began), []);
    deepStrictEqual(await ask(began - DAY, began + 1), [[began, began + DAY]]);
  }),
);

Deno.test(
  "anomaly_episodes() runs as the reader, finds readings by the primary key, and reads only the days around its range",
  onPlace({ partitions: 0 }, async (place) => {
    await prepare(place);
    await makeRoles(place);
    await place.sql(
      `insert into public.heartbeats
       select 'c-' || customer, ts, 70, null
         from generate_series(1, 20) customer, generate_series('2026-07-14Z'::timestamptz, '2026-07-18 23:59Z', '1 minute') ts`,
    );
    await insert(place, "c-21", [{ ts: BEGIN + 1, bpm: 40 }, { ts: BEGIN + 3 * DAY, bpm: 190 }]);
    await place.sql("analyze public.heartbeats");
    await withClient(urlOf(place, "heartbeat_reader"), async (client) => {
      // The function must not depend on the caller's settings.
      await client.query(
        "set search_path = ''; set timezone = 'America/New_York'",
      );
      const call = "select * from public.anomaly_episodes('c-21', '2026-07-14 22:00Z', '2026-07-15 01:00Z')";
      deepStrictEqual((await client.query(call)).rows.map(({ began }) => began.getTime()), [BEGIN + 1]);
      const { rows } = await client.query(`explain (costs off) ${call}`);
      const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
      match(plan, /Index Scan using heartbeats_day\d_pkey/);
      const scans = [...plan.matchAll(/Scan (?:Backward )?(?:using (\w+) )?on (heartbeats_\w+)/g)];
      deepStrictEqual(
        scans.filter(([, index]) => index?.endsWith("_pkey") === false).map(([scan]) => scan),
        [],
      );
      deepStrictEqual(
        scans.filter(([, , table]) => table === "heartbeats_day3" || table === "heartbeats_day4"),
        [],
      );
    });
    const [right] = await place.sql(
      `select provolatile, proparallel, prosecdef, has_function_privilege('heartbeat_reader', oid, 'execute') as reader
         from pg_proc where proname = 'anomaly_episodes'`,
    );
    deepStrictEqual(right, { provolatile: "s", proparallel: "s", prosecdef: false, reader: true });
  }),
);
