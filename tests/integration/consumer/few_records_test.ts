import type { LedgerRow } from "../../../workers/consumer/kafka_partition/partition.ts";
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { openLedger } from "../../../workers/consumer/store/ledger.ts";
import type { Slice } from "../../../workers/consumer/kafka_partition/slice.ts";
import { batchWriter, openPlace, sliceOfValues } from "../../support/batch_writer.ts";
import { bad, type Intended, judge, reading } from "../../support/judge.ts";
import type { Place } from "../../../lab/place.ts";
import type { Sent } from "../../../lab/produce.ts";
import { onPlace } from "../../support/services.ts";
import { logStatements } from "../../support/statements.ts";

const T = "2026-07-14T09:30:00Z";
const TOPIC_ID = "6f1ed002-ab5f-4a5b-8bf5-6f1ed002ab5f";

function slice(from: number, customer: string, heartRates: readonly number[]): Slice {
  return sliceOfValues(
    from,
    heartRates.map((heart_rate, index) => {
      const timestamp = new Date(Date.parse(T) + (from + index) * 1000).toISOString();
      return JSON.stringify({ customer_id: customer, timestamp, heart_rate });
    }),
  );
}

/** Writes all batches in one transaction, as a consumer does with batches of several partitions. */
async function write(
  place: Place,
  batches: readonly (readonly [LedgerRow, Slice])[],
): Promise<readonly string[]> {
  await using database = openPlace(place);
  const failures: unknown[] = [];
  const writeBatch = batchWriter(database, (error) => failures.push(error));
  const outcomes = await Promise.all(batches.map(([ledger, slice]) => writeBatch(ledger, slice)));
  deepStrictEqual(failures, []);
  return outcomes.map((outcome) =>
    outcome.kind === "offset mismatch" ? `stale at ${outcome.nextOffset}` : outcome.kind
  );
}

async function openLedgers(place: Place, count: number): Promise<LedgerRow[]> {
  await using database = openPlace(place);
  const rows: LedgerRow[] = [];
  for (let partition = 0; partition < count; partition++) {
    rows.push(await openLedger(database, { topic: place.topic, topicId: TOPIC_ID, partition }, 0, 0));
  }
  return rows;
}

async function state(place: Place): Promise<unknown> {
  const [row] = await place.sql(
    `select (select count(*)::int from public.heartbeats) as rows,
            (select array_agg(next_offset::int order by kafka_partition) from public.ingest_offsets) as next,
            (select array_agg(stored::int order by kafka_partition) from public.ingest_offsets) as stored,
            (select json_agg(json_build_object(
                      'partition', kafka_partition, 'move', move, 'offsets', json_build_array(from_offset, change.next_offset),
                      'customers', customer_ids, 'readings', readings, 'sums', sums, 'last', last_rates)
                             order by kafka_partition, move)
               from public.ingest_changes change
               join public.ingest_offsets ledger on ledger.id = ledger_id) as changes`,
  );
  return row;
}

Deno.test(
  "a consumer discards a batch whose partition it no longer owns, and writes the other batch of the transaction",
  onPlace({ partitions: 0 }, async (place) => {
    await place.consumer({ args: ["--migrate-only"] }).exitCode();
    const [first, second, third] = await openLedgers(place, 3);
    ok(first !== undefined && second !== undefined && third !== undefined);
    deepStrictEqual(
      await write(place, [[first, slice(0, "a", [70, 71])], [second, slice(0, "b", [72])]]),
      ["written", "written"],
    );
    const changes = [
      { partition: 0, move: 1, offsets: [0, 2], customers: ["a"], readings: [2], sums: [141], last: [71] },
      { partition: 1, move: 1, offsets: [0, 1], customers: ["b"], readings: [1], sums: [72], last: [72] },
    ];
    const before = { rows: 3, next: [2, 1, 0], stored: [2, 1, 0], changes };
    deepStrictEqual(await state(place), before);
    // The next offset of the first partition is 2. Each of these batches contradicts its ledger row.
    const staleBatches: readonly (readonly [LedgerRow, Slice])[] = [
      [first, slice(1, "x", [70])],
      [first, slice(3, "x", [70])],
      [{ ...first, generation: 1 }, slice(2, "x", [70])],
      [{ ...first, topicId: crypto.randomUUID() }, slice(2, "x", [70])],
      [{ ...first, id: 1_000 }, slice(2, "x", [70])],
    ];
    for (const batch of staleBatches) {
      const [outcome] = await write(place, [batch]);
      ok(outcome?.startsWith("stale"), String(outcome));
      deepStrictEqual(await state(place), before);
    }
    deepStrictEqual(
      await write(place, [[second, slice(0, "x", [70])], [third, slice(0, "c", [73, 74])]]),
      ["stale at 1", "written"],
    );
    deepStrictEqual(await state(place), {
      rows: 5,
      next: [2, 1, 2],
      stored: [2, 1, 2],
      changes: [
        ...changes,
        { partition: 2, move: 1, offsets: [0, 2], customers: ["c"], readings: [2], sums: [147], last: [74] },
      ],
    });
  }),
);

Deno.test(
  "a consumer stores a few readings of several partitions with one statement, and also stores a reading and a reject together",
  onPlace({ partitions: 3 }, async (place) => {
    const statements = await logStatements(place);
    const consumer = place.consumer({ env: statements.env });
    await consumer.untilReady();
    const writes = async () => {
      await place.untilCaughtUp();
      // A write begins with one of these: a transaction, a COPY, or a single statement that does everything.
      return (await statements.take()).filter((sql) => /^(begin; select|copy|with batch)/.test(sql));
    };
    await writes();
    const sent: Sent<Intended>[] = await place.publisher.send(
      [0, 1, 2].map((partition) => reading(`c-${partition}`, T, 40 + partition * 70, { partition })),
    );
    const few = await writes();
    ok(few.length > 0 && few.every((sql) => sql.startsWith("with batch")), few.join("\n"));
    sent.push(
      ...await place.publisher.send([reading("d", T, 70), bad("invalid_json", "x", { partition: 0 })]),
    );
    await place.untilCaughtUp();
    await judge(place, sent);
    strictEqual(await consumer.metric("heartbeat_records_total", 'outcome="stored"'), 4);
  }),
);
