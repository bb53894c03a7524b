/** A consumer that dies at any moment, and answers to a COMMIT that get lost: the offset in the database decides. */
import { deepStrictEqual, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { eventually } from "../../../lab/eventually.ts";
import { type Intended, reading } from "../../support/judge.ts";
import type { Place } from "../../../lab/place.ts";
import { onPlace } from "../../support/services.ts";
import { accountFor } from "../account.ts";
import { backlog, seeded } from "../backlog.ts";
import { linkToDatabase } from "../links.ts";

const COUNT = 100_000;
const PARTITIONS = 6;

/** Offsets that the ledger accounts for, in all partitions. */
async function accounted(place: Place): Promise<number> {
  // The table is not there before the first consumer has made it.
  const rows = await place.sql<{ done: string }>(
    "select coalesce(sum(next_offset - first_offset), 0) as done from public.ingest_offsets",
  ).catch(() => []);
  return Number(rows[0]?.done ?? 0);
}

Deno.test(
  "kill -9 at 20 random moments of 100,000 records: none lost, none twice",
  onPlace({ partitions: PARTITIONS }, async (place) => {
    const random = seeded(20);
    const sent = [];
    const consumers = [];
    for (let life = 0; life < 20; life++) {
      // A group would wait out the session of its dead member; the ledger, not the group, is what is tested here.
      const consumer = place.consumer({ env: { KAFKA_GROUP_ID: `${place.topic}-${life}` } });
      consumers.push(consumer);
      const goal = await accounted(place) + Math.floor(random() * COUNT / 20);
      const killed = eventually("progress", async () => await accounted(place) >= goal).then(() => {
        consumer.kill("SIGKILL");
        return consumer.exited;
      });
      // In small requests, so that the consumer has many small batches to be killed in.
      for (let at = 0; at < COUNT / 20; at += 250) {
        sent.push(...await place.publisher.send(backlog(life * COUNT / 20 + at, 250, PARTITIONS)));
      }
      await killed;
    }
    consumers.push(await place.consumeAll());
    await accountFor(place, sent);
    // Minutes that were rebuilt are right, too, and would hide that a change got lost.
    deepStrictEqual(consumers.flatMap((consumer) => consumer.events("rollup.rebuild_began")), []);
  }),
);

Deno.test(
  "the answer to a COMMIT that took place gets lost: its batch is counted once",
  onPlace({}, async (place) => {
    await using link = await linkToDatabase(place);
    const consumer = place.consumer({ env: { DATABASE_URL: link.through(place.databaseUrl) } });
    const sent = await place.publisher.send(backlog(0, 300, 1));
    await place.caughtUp();

    const committed = Buffer.from("COMMIT\0");
    link.onAnswer = (bytes) => link.cuts > 0 || !Buffer.from(bytes).includes(committed);
    sent.push(...await place.publisher.send(backlog(300, 300, 1)));
    await eventually("the answer to be cut off", () => link.cuts === 1);
    strictEqual(await accounted(place), 600, "it did commit");
    sent.push(...await place.publisher.send(backlog(600, 300, 1)));
    await accountFor(place, sent);
    // What it says it stored is what is stored, also of the batch whose answer it never saw.
    await eventually("its own count", async () => {
      const [row] = await place.sql("select count(*) from public.heartbeats");
      return await consumer.metric("heartbeat_records_total", 'outcome="stored"') === Number(row?.count);
    });
    deepStrictEqual(consumer.events("batch.stale"), []);
  }),
);

Deno.test(
  "the answer to the one statement that stores a few readings gets lost: they are counted once",
  onPlace({}, async (place) => {
    await using link = await linkToDatabase(place);
    const consumer = place.consumer({ env: { DATABASE_URL: link.through(place.databaseUrl) } });
    const sent = await place.publisher.send(readings(0, 50));
    await place.caughtUp();

    const stored = Buffer.from("INSERT 0 1\0");
    link.onAnswer = (bytes) => link.cuts > 0 || !Buffer.from(bytes).includes(stored);
    sent.push(...await place.publisher.send(readings(50, 50)));
    await eventually("the answer to be cut off", () => link.cuts === 1);
    strictEqual(await accounted(place), 100, "it did commit");
    sent.push(...await place.publisher.send(readings(100, 50)));
    await accountFor(place, sent);
    await eventually("its own count", async () => {
      return await consumer.metric("heartbeat_records_total", 'outcome="stored"') === 150;
    });
    deepStrictEqual(consumer.events("batch.stale"), []);
  }),
);

Deno.test(
  "a COMMIT that never arrived is done again",
  onPlace({}, async (place) => {
    await using link = await linkToDatabase(place);
    place.consumer({ env: { DATABASE_URL: link.through(place.databaseUrl) } });
    const sent = await place.publisher.send(backlog(0, 300, 1));
    await place.caughtUp();

    const commit = Buffer.from("commit\0");
    link.onRequest = (bytes) => link.cuts > 0 || !Buffer.from(bytes).includes(commit);
    sent.push(...await place.publisher.send(backlog(300, 300, 1)));
    await eventually("the request to be cut off", () => link.cuts === 1);
    await accountFor(place, sent);
  }),
);

/** Nothing else among them, so that one statement stores them. */
function readings(from: number, count: number): Intended[] {
  return Array.from({ length: count }, (_, at) => {
    return reading(`c-${from + at}`, "2026-07-14T09:30:00Z", 70);
  });
}
