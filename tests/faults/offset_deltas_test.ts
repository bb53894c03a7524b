/**
 * Tests batches with wrong offset deltas. The broker checks the deltas of compressed batches only. In other batches it gives
 * the records consecutive offsets.
 */
import { deepStrictEqual, ok, rejects } from "node:assert";
import { Buffer } from "node:buffer";
import { eventually } from "../../lab/eventually.ts";
import { bad, type Intended, reading } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import type { Sent } from "../../lab/produce.ts";
import { produceBatch } from "../support/produce_batch.ts";
import { batch, type BatchOptions } from "../support/record_batch.ts";
import { onPlace } from "../support/services.ts";
import { accountFor } from "./account.ts";

const T = "2026-07-14T09:30:00Z";
/** Retention would delete the batches, because their timestamps are from 1970. */
const topicConfig = { "retention.ms": "-1" };

function three(customer: string, partition: number): Intended[] {
  return [
    reading(`${customer}-first`, T, 70, { partition }),
    bad("invalid_json", `no JSON of ${customer}`, { key: customer, partition }),
    reading(`${customer}-last`, T, 71, { partition }),
  ];
}

function many(customer: string, count: number, partition: number): Intended[] {
  return Array.from({ length: count }, (_, index) => reading(`${customer}-${index}`, T, 72, { partition }));
}

/**
 * Sends the records of `three` as one batch with these offset deltas.
 *
 * @throws if the broker refuses the batch
 */
async function sendWithDeltas(
  place: Place,
  partition: number,
  deltas: readonly number[],
  options: BatchOptions = {},
): Promise<Sent<Intended>[]> {
  const records = three(`deltas ${deltas}`, partition).map((record) => {
    const { key, value } = record;
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return { record, key: typeof key === "string" ? Buffer.from(key) : null, value: Buffer.from(text) };
  });
  const bytes = batch(0, deltas, {
    last: deltas.length - 1,
    record: (_, index) => records[index] ?? { key: null, value: null },
    ...options,
  });
  const first = await produceBatch(place.stack.kafkaBootstrapServers, place.topic, partition, bytes);
  return records.map((record, index) => {
    const offset = first + index;
    return { id: `${partition}:${offset}`, partition, offset, ...record };
  });
}

Deno.test(
  "a record with a too large offset delta does not hide the records that follow it",
  onPlace({ topicConfig }, async (place) => {
    const sent = await place.publisher.send(many("before", 2, 0));
    const consumer = place.consumer();
    sent.push(...await sendWithDeltas(place, 0, [0, 1, 2000]));
    await eventually("the batch to be read", async () => {
      const [ledger] = await place.sql<{ next: string }>(
        "select next_offset as next from public.ingest_offsets",
      );
      return Number(ledger?.next) >= 5;
    });
    await consumer.stop();
    sent.push(...await place.publisher.send(many("behind", 2_500, 0)));
    await place.consumeAll();
    await accountFor(place, sent);
  }),
);

async function assertRefused(sending: Promise<unknown>, what: unknown): Promise<void> {
  await rejects(sending, (error) => {
    ok(error instanceof AggregateError, `${Deno.inspect(what)}: ${error}`);
    const codes = new Set(error.errors.map(({ apiId, message }) => apiId ?? message));
    deepStrictEqual([...codes], ["INVALID_RECORD"], Deno.inspect(what));
    return true;
  });
}

const WRONG_DELTAS = [[0, 0, 0], [0, 5000, 2], [0, -3, 2], [2, 1, 0]];

Deno.test(
  "records with equal, falling or negative offset deltas are stored or rejected once, and so are the records that follow",
  onPlace({ partitions: WRONG_DELTAS.length, topicConfig }, async (place) => {
    const sent: Sent<Intended>[] = [];
    for (const [partition, deltas] of WRONG_DELTAS.entries()) {
      sent.push(
        ...await place.publisher.send(many(`before-${partition}`, 2, partition)),
        ...await sendWithDeltas(place, partition, deltas),
        ...await place.publisher.send(many(`behind-${partition}`, 100, partition)),
      );
    }
    place.consumer();
    await accountFor(place, sent);
  }),
);

Deno.test(
  "the broker refuses a batch with a wrong number of records or offsets in its header, as the consumer assumes",
  onPlace({ topicConfig }, async (place) => {
    const refused = [{ last: 2000 }, { last: 1 }, { last: -1 }, { count: 4, last: 3 }, { count: 2, last: 1 }];
    for (const header of refused) await assertRefused(sendWithDeltas(place, 0, [0, 1, 2], header), header);
    const sent = await sendWithDeltas(place, 0, [0, 1, 2]);
    await place.consumeAll();
    await accountFor(place, sent);
  }),
);
