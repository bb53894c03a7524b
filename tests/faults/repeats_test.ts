import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { type Intended, reading } from "../support/judge.ts";
import { onPlace } from "../support/services.ts";
import { logStatements } from "../support/statements.ts";
import { accountFor } from "./account.ts";

const T = "2026-07-14T09:30:00Z";

Deno.test(
  "a consumer stores a batch of 100,000 rows with one statement",
  onPlace({ topicConfig: { "max.message.bytes": "50000000" } }, async (place) => {
    strictEqual(await place.consumer({ args: ["--migrate-only"] }).exitCode(), 0);
    const records = Array.from({ length: 100_000 }, (_, index) => {
      const timestamp = new Date(Date.UTC(2026, 6, 14) + Math.floor(index / 100) * 1000).toISOString();
      return reading(`c-${index % 100}`, timestamp, 50 + index % 120);
    });
    // The records are one record batch, which a broker sends whole even if it exceeds the limit of a fetch.
    const sent = await place.publisher.send(records, { compression: "zstd", inOneRequest: true });
    const { env, take } = await logStatements(place);
    const consumer = place.consumer({ env: { ...env, BATCH_MAX_RECORDS: "100000" } });
    await accountFor(place, sent);
    const rows = (await take()).filter((sql) => /\b(copy|insert into) public\.heartbeats\b/.test(sql));
    deepStrictEqual(rows.length, 1, rows.join("\n"));
    const batches = await consumer.metric("heartbeat_batch_records_count");
    strictEqual(batches, 1, "more than one transaction stored the rows");
    ok(consumer.running);
  }),
);

Deno.test(
  "a consumer stores a reading once and counts its repetitions, in the same batch or a later one, as duplicates",
  onPlace({}, async (place) => {
    const three = [reading("a", T, 70), reading("a", "2026-07-14T11:30:00+02:00", 70), reading("a", T, 70)];
    const sent = await place.publisher.send([...three, reading("b", T, 70)]);
    await place.consumeAll();
    await accountFor(place, sent);
    deepStrictEqual(await place.sql("select stored, duplicates from public.ingest_offsets"), [
      { stored: "2", duplicates: "2" },
    ]);
    sent.push(...await place.publisher.send([...three, reading("c", T, 70)]));
    await place.consumeAll();
    await accountFor(place, sent);
    deepStrictEqual(await place.sql("select stored, duplicates from public.ingest_offsets"), [
      { stored: "3", duplicates: "5" },
    ]);
  }),
);

Deno.test(
  "a consumer keeps the heart rate that it stored first for a key, and rejects a different one",
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
    await accountFor(place, sent);
    // The batch begins with 71, but an earlier batch has stored 70.
    sent.push(
      ...await place.publisher.send<Intended>([conflict(71), reading("a", T, 70), reading("b", T, 70)]),
    );
    await place.consumeAll();
    await accountFor(place, sent);
    const [reject] = await place.sql("select detail from public.heartbeat_rejects order by kafka_offset");
    strictEqual(
      reject?.detail,
      "heart_rate: is 71, expected 70 as stored before for this customer and instant",
    );
  }),
);
