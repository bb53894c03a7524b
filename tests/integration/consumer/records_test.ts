/** What becomes of records: rows, rejects, duplicates. */
import { deepStrictEqual, strictEqual } from "node:assert";
import { bad, type Intended, judge, reading } from "../../support/judge.ts";
import type { Compression } from "../../support/produce.ts";
import { onPlace } from "../../support/services.ts";

const T = "2026-07-14T09:30:00Z";

Deno.test(
  "a reading becomes one row, exact to the microsecond, from year 1 to now",
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
  "a bad record costs one reject with its exact bytes, and its neighbours are stored",
  onPlace({}, async (place) => {
    const bytes = (...values: number[]) => new Uint8Array(values);
    const sent = await place.publisher.send<Intended>([
      reading("a", T, 70),
      bad("tombstone", null, { key: "a" }),
      bad("empty_value", bytes(), { key: bytes(0, 255, 1) }),
      bad("invalid_utf8", bytes(0x7b, 0xff, 0x7d), { key: bytes() }),
      bad("invalid_json", "{", { key: null }),
      bad("invalid_json", bytes(0), { key: null }),
      bad("invalid_json", '{"customer_id":"a"} trailing', { key: null }),
      bad("not_an_object", "[1]", { key: null }),
      bad("not_an_object", "null", { key: null }),
      bad("missing_timestamp", { customer_id: "a", heart_rate: 1 }),
      bad("invalid_customer_id", { customer_id: "a\u0000b", timestamp: T, heart_rate: 70 }),
      bad("invalid_customer_id", '{"customer_id":"\\ud800","timestamp":"' + T + '","heart_rate":70}'),
      bad("heart_rate_out_of_range", { customer_id: "a", timestamp: T, heart_rate: 221 }),
      bad("timestamp_in_future", { customer_id: "a", timestamp: "9999-12-31T23:59:59Z", heart_rate: 70 }),
      bad("invalid_json", new Uint8Array(900_000).fill(0x5b), { key: null }),
      reading("b", T, 70),
    ]);
    const consumer = await place.consumeAll();
    await judge(place, sent);
    const [{ tombstones }] = await place.sql<{ tombstones: string }>(
      "select count(*) as tombstones from public.heartbeat_rejects where payload is null",
    ) as [{ tombstones: string }];
    strictEqual(tombstones, "1");
    strictEqual(consumer.events("record.rejected").length, 14);
  }),
);

Deno.test(
  "the same key three times in one batch is one row and two duplicates, and again later only duplicates",
  onPlace({}, async (place) => {
    const three = [reading("a", T, 70), reading("a", "2026-07-14T11:30:00+02:00", 70), reading("a", T, 70)];
    const sent = await place.publisher.send([...three, reading("b", T, 70)]);
    await place.consumeAll();
    await judge(place, sent);
    sent.push(...await place.publisher.send([...three, reading("c", T, 70)]));
    await place.consumeAll();
    await judge(place, sent);
    deepStrictEqual(await place.sql("select stored, duplicates from public.ingest_offsets"), [
      { stored: "3", duplicates: "5" },
    ]);
  }),
);

Deno.test(
  "of two heart rates for one key the first stored stays and the other is rejected",
  onPlace({}, async (place) => {
    const conflict = (heartRate: number): Intended => ({
      ...reading("a", T, heartRate),
      fate: { reject: "conflicting_duplicate" },
    });
    const sent = await place.publisher.send<Intended>([
      reading("a", T, 70),
      conflict(71),
      reading("a", T, 70),
    ]);
    await place.consumeAll();
    await judge(place, sent);
    // Within this batch 71 comes first, yet 70 is in the table.
    sent.push(
      ...await place.publisher.send<Intended>([conflict(71), reading("a", T, 70), reading("b", T, 70)]),
    );
    await place.consumeAll();
    await judge(place, sent);
    const [reject] = await place.sql("select detail from public.heartbeat_rejects order by kafka_offset");
    strictEqual(
      reject?.detail,
      "heart_rate: is 71, expected 70 as stored before for this customer and instant",
    );
  }),
);

Deno.test(
  "records are read in every compression that a Kafka client can send",
  onPlace({}, async (place) => {
    const sent = [];
    for (const compression of ["none", "gzip", "snappy", "lz4", "zstd"] satisfies Compression[]) {
      const records = Array.from({ length: 300 }, (_, index) => reading(`${compression}-${index}`, T, 70));
      sent.push(...await place.publisher.send(records, { compression }));
    }
    await place.consumeAll();
    await judge(place, sent);
  }),
);

Deno.test(
  "one customer spread over partitions, and keyless records, are stored once by several consumers",
  onPlace({ partitions: 6 }, async (place) => {
    const consumers = [1, 2, 3].map(() => place.consumer());
    await Promise.all(consumers.map((consumer) => consumer.said("group.assigned")));
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
    await place.caughtUp();
    await judge(place, sent);
  }),
);
