import { deepStrictEqual, match, strictEqual } from "node:assert";
import { bad, type Intended, reading } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import type { Sent } from "../../lab/produce.ts";
import { onPlace } from "../support/services.ts";
import { accountFor } from "./account.ts";

const DAY_MS = 86_400_000;
const SKEW = { MAX_CLOCK_SKEW_SECONDS: "300" };

function fromNow(ms: number): string {
  return new Date(Date.now() + ms).toISOString();
}

async function dayPartitionsWithRows(place: Place): Promise<string[]> {
  const rows = await place.sql<{ name: string }>(
    "select distinct tableoid::regclass::text as name from public.heartbeats order by 1",
  );
  return rows.map(({ name }) => name);
}

async function dayPartitions(place: Place): Promise<string[]> {
  const rows = await place.sql<{ name: string }>(
    `select inhrelid::regclass::text as name
       from pg_inherits where inhparent = 'public.heartbeats'::regclass order by 1`,
  );
  return rows.map(({ name }) => name);
}

Deno.test(
  "a consumer rejects a timestamp ten years ahead without a day partition for it, and stores a reading from 1970",
  onPlace({}, async (place) => {
    const future = (timestamp: string) =>
      bad("timestamp_in_future", { customer_id: "a", timestamp, heart_rate: 70 });
    const sent = await place.publisher.send<Intended>([
      reading("a", "1970-01-01T00:00:00Z", 70),
      future(fromNow(3_652 * DAY_MS)),
      future(fromNow(DAY_MS)),
      future("9999-12-31T23:59:59.999999Z"),
      reading("a", fromNow(60_000), 71),
      reading("a", "0001-01-01T00:00:00Z", 72),
    ]);
    await place.consumeAll({ env: SKEW });
    await accountFor(place, sent);
    const created = await dayPartitions(place);
    const latest = new Date(Date.now() + 3 * DAY_MS).toISOString().slice(0, 10).replaceAll("-", "");
    const tooLate = created.filter((name) => /_d\d{8}$/.test(name) && name.slice(-8) > latest);
    deepStrictEqual([tooLate, created.filter((name) => /(203\d|9999)/.test(name))], [[], []]);
    match((await dayPartitionsWithRows(place)).join(" "), /heartbeats_before_/);
  }),
);

Deno.test(
  "when the day changes under load, each day gets its day partition and no row goes to the default partition",
  onPlace({ partitions: 3 }, async (place) => {
    const consumer = place.consumer({ env: { BATCH_MAX_RECORDS: "1000" } });
    const sent: Sent<Intended>[] = [];
    // For each of ten days, all partitions get readings from 30 s before midnight to 30 s after it.
    for (let day = 10; day > 0; day--) {
      const midnight = Math.floor(Date.now() / DAY_MS) * DAY_MS - day * DAY_MS;
      const records = Array.from({ length: 3_000 }, (_, index) => {
        const timestamp = new Date(midnight + (index - 1_500) * 20).toISOString();
        return reading(`c-${index % 10}`, timestamp, 60 + index % 100, { partition: index % 3 });
      });
      sent.push(...await place.publisher.send(records));
    }
    await accountFor(place, sent);
    strictEqual((await dayPartitionsWithRows(place)).length, 11);
    strictEqual((await dayPartitionsWithRows(place)).includes("heartbeats_default"), false);
    deepStrictEqual(consumer.events("table.partition_failed"), []);
    strictEqual(
      await consumer.metric("heartbeat_retries_total"),
      0,
      "a batch failed, perhaps because a day partition was missing",
    );
  }),
);

Deno.test(
  "if no day partition can be created, rows go to the default partition and the consumer continues",
  onPlace({}, async (place) => {
    strictEqual(await place.consumer({ args: ["--migrate-only"] }).exitCode(), 0);
    await place.sql("drop function public.ensure_heartbeat_partition");
    const sent = await place.publisher.send([
      reading("a", fromNow(0), 70),
      reading("a", fromNow(-3 * DAY_MS), 70),
    ]);
    const consumer = await place.consumeAll();
    await accountFor(place, sent);
    deepStrictEqual(await dayPartitionsWithRows(place), ["heartbeats_default"]);
    match(consumer.output, /go to the default partition/);
  }),
);
