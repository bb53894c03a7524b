import { deepStrictEqual, match, ok } from "node:assert";
import { Judge } from "../../chaos/judge/judge.ts";
import type { Query } from "../../chaos/judge/query.ts";
import type { Place } from "../../lab/place.ts";
import { judge } from "../support/judge.ts";
import { onPlace } from "../support/services.ts";
import { backlog } from "./backlog.ts";
import { publish } from "./known_records.ts";

const PARTITIONS = 6;

const CHANGES: readonly (readonly [what: string, sql: string, ...messages: RegExp[]])[] = [
  [
    "a row is deleted",
    "delete from public.heartbeats where ts = (select max(ts) from public.heartbeats)",
    /lost, no row for record \S+.* \(\w+-\d+ @ \d+/,
    /stored, by the ledger: is \d+/,
  ],
  [
    "a row is stored again a microsecond later",
    `insert into public.heartbeats
     select customer_id, ts + interval '1 microsecond', heart_rate, anomaly
       from public.heartbeats where ts = (select min(ts) from public.heartbeats)`,
    /stored, but never sent as a reading: \w+-\d+ @ \d+/,
  ],
  [
    "a row is stored for a second customer",
    `insert into public.heartbeats
     select 'another', ts, heart_rate, anomaly
       from public.heartbeats where ts = (select min(ts) from public.heartbeats)`,
    /stored, but never sent as a reading: another @ \d+/,
  ],
  [
    "a row has another heart rate",
    "update public.heartbeats set heart_rate = heart_rate + 1 where ts = (select min(ts) from public.heartbeats)",
    /stored with other values: record \S+/,
  ],
  [
    "a row has another anomaly",
    `update public.heartbeats set anomaly = case when anomaly is null then 'low' end
      where ts = (select min(ts) from public.heartbeats)`,
    /stored with other values: record \S+/,
  ],
  [
    "a row is stored far from all others",
    "insert into public.heartbeats values ('chaos-1', '1999-01-01', 70, null)",
    /rows outside the time range of the sent records: 1|never sent as a reading: chaos-1/,
  ],
  [
    "a reject is deleted",
    `delete from public.heartbeat_rejects where reason = 'tombstone'
        and kafka_offset = (select min(kafka_offset) from public.heartbeat_rejects where reason = 'tombstone')`,
    /lost, no reject for record .*\d:\d+/,
    /counts \d+ rejects, but there are \d+/,
  ],
  [
    "a reject is stored that belongs to no bad record",
    `insert into public.heartbeat_rejects (ledger_id, topic, kafka_partition, kafka_offset, reason, detail)
     select id, topic, kafka_partition, next_offset, 'tombstone', 'value' from public.ingest_offsets limit 1`,
    /rejected, but not expected to be: \d:\d+ \(tombstone\)/,
  ],
  [
    "a byte of a reject is missing",
    "update public.heartbeat_rejects set payload = substr(payload, 2) where reason = 'invalid_json'",
    /rejected with other values: \d:\d+ \(.*payload 0x/,
  ],
  [
    "a reject has another key",
    "update public.heartbeat_rejects set key = 'another' where reason = 'invalid_json'",
    /rejected with other values: \d:\d+ \(.*key 0x/,
  ],
  [
    "a reject has another reason",
    "update public.heartbeat_rejects set reason = 'too_old' where reason = 'tombstone'",
    /reason too_old, expected tombstone/,
  ],
  [
    "the ledger does not add up",
    `alter table public.ingest_offsets drop constraint ingest_offsets_accounted;
     update public.ingest_offsets set next_offset = next_offset + 1`,
    /the ledger of partition \d does not add up/,
  ],
  [
    "the ledger counts a gap that does not exist",
    "update public.ingest_offsets set gaps = gaps + 1, stored = stored - 1",
    /the ledger of partition \d counts 1 gaps, but there are 0/,
    /stored, by the ledger: is \d+/,
  ],
  [
    "the ledger counts a duplicate that does not exist",
    `update public.ingest_offsets set duplicates = duplicates + 1, next_offset = next_offset + 1
      where kafka_partition = 0`,
    // The records of a test have a known number of duplicates. For generated records, the judge knows the next offsets instead.
    /duplicates, by the ledger: is \d+|next offset of partition 0: is \d+/,
  ],
  [
    "a minute aggregate is wrong",
    `update public.heartbeats_1m set heart_rate_sum = heart_rate_sum + 1
      where minute = (select max(minute) from public.heartbeats_1m)`,
    /minutes that differ from the rows: \w+-\d+ @ /,
  ],
  [
    "a latest reading has an older timestamp",
    `update public.customer_latest set ts = ts - interval '1 second'
      where customer_id = (select min(customer_id) from public.customer_latest)`,
    /latest readings that differ from the rows: \w+-\d+/,
  ],
];

type Prepare = (place: Place) => Promise<(query: Query) => Promise<readonly string[]>>;

const JUDGES: readonly (readonly [records: string, prepare: Prepare])[] = [
  ["generated records", async (place) => {
    const published = await publish(place, 20_000, { partitions: PARTITIONS });
    await place.consumeAll();
    const ends = await place.ends();
    return async (query) => {
      const generated = new Judge({ query, ...published });
      return [...await generated.judgeCommitted(ends), ...(await generated.judgeAll(ends)).problems];
    };
  }],
  ["the records of a test", async (place) => {
    const sent = await place.publisher.send(backlog(0, 4_000, PARTITIONS));
    await place.consumeAll();
    return (sql) => judge({ sql }, sent).then(() => [], (error) => [error.message]);
  }],
];

for (const [records, prepare] of JUDGES) {
  Deno.test(
    `the judge of ${records} reports no difference while the tables are correct, and reports each wrong change to them`,
    onPlace({ partitions: PARTITIONS }, async (place, t) => {
      const problems = await prepare(place);
      const session = await place.session();
      const query: Query = async (sql, values = []) => (await session.query(sql, [...values])).rows;
      try {
        deepStrictEqual(await problems(query), []);
        for (const [what, sql, ...messages] of CHANGES) {
          await t.step(what, async () => {
            await session.query("begin");
            await using _ = { [Symbol.asyncDispose]: async () => void await session.query("rollback") };
            const { rowCount } = [await session.query(sql)].flat().at(-1) ?? {};
            ok((rowCount ?? 0) > 0, "the statement changed no row");
            const found = (await problems(query)).join("\n");
            for (const message of messages) match(found, message);
          });
        }
      } finally {
        await session.end();
      }
    }),
  );
}
