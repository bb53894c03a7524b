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

/** @returns the number of offsets that the ledger accounts for, 0 if the table does not exist yet */
async function accountedOffsets(place: Place): Promise<number> {
  const rows = await place.sql<{ done: string }>(
    "select coalesce(sum(next_offset - first_offset), 0) as done from public.ingest_offsets",
  ).catch(() => []);
  return Number(rows[0]?.done ?? 0);
}

Deno.test(
  "no record of 100,000 is lost or stored twice when consumers are killed at 20 random moments",
  onPlace({ partitions: PARTITIONS }, async (place) => {
    const random = seeded(20);
    const sent = [];
    const consumers = [];
    for (let life = 0; life < 20; life++) {
      // A group would wait for a killed member until the session timeout, so each consumer has its own group.
      const consumer = place.consumer({ env: { KAFKA_GROUP_ID: `${place.topic}-${life}` } });
      consumers.push(consumer);
      const goal = await accountedOffsets(place) + Math.floor(random() * COUNT / 20);
      const killed = eventually("progress", async () => await accountedOffsets(place) >= goal).then(() => {
        consumer.kill("SIGKILL");
        return consumer.exited;
      });
      // Small requests give many small batches, so the kills happen at more different points of the code.
      for (let index = 0; index < COUNT / 20; index += 250) {
        sent.push(...await place.publisher.send(backlog(life * COUNT / 20 + index, 250, PARTITIONS)));
      }
      await killed;
    }
    consumers.push(await place.consumeAll());
    await accountFor(place, sent);
    // A rebuild would repair a lost change row and hide the loss.
    deepStrictEqual(consumers.flatMap((consumer) => consumer.events("rollup.rebuild_began")), []);
  }),
);

Deno.test(
  "if the answer to a COMMIT is lost, the committed batch is counted once",
  onPlace({}, async (place) => {
    await using link = await linkToDatabase(place);
    const consumer = place.consumer({ env: { DATABASE_URL: link.through(place.databaseUrl) } });
    const sent = await place.publisher.send(backlog(0, 300, 1));
    await place.untilCaughtUp();

    const committed = Buffer.from("COMMIT\0");
    link.onAnswer = (bytes) => link.cuts > 0 || !Buffer.from(bytes).includes(committed);
    sent.push(...await place.publisher.send(backlog(300, 300, 1)));
    await eventually("the answer to be cut off", () => link.cuts === 1);
    strictEqual(await accountedOffsets(place), 600, "PostgreSQL must have committed the batch");
    sent.push(...await place.publisher.send(backlog(600, 300, 1)));
    await accountFor(place, sent);
    await eventually("the metric to count the stored readings", async () => {
      const [row] = await place.sql("select count(*) from public.heartbeats");
      return await consumer.metric("heartbeat_records_total", 'outcome="stored"') === Number(row?.count);
    });
    deepStrictEqual(consumer.events("batch.stale"), []);
  }),
);

Deno.test(
  "if the answer to the single statement of a small batch is lost, the stored readings are counted once",
  onPlace({}, async (place) => {
    await using link = await linkToDatabase(place);
    const consumer = place.consumer({ env: { DATABASE_URL: link.through(place.databaseUrl) } });
    const sent = await place.publisher.send(readings(0, 50));
    await place.untilCaughtUp();

    const stored = Buffer.from("INSERT 0 1\0");
    link.onAnswer = (bytes) => link.cuts > 0 || !Buffer.from(bytes).includes(stored);
    sent.push(...await place.publisher.send(readings(50, 50)));
    await eventually("the answer to be cut off", () => link.cuts === 1);
    strictEqual(await accountedOffsets(place), 100, "PostgreSQL must have committed the readings");
    sent.push(...await place.publisher.send(readings(100, 50)));
    await accountFor(place, sent);
    await eventually("the metric to count the stored readings", async () => {
      return await consumer.metric("heartbeat_records_total", 'outcome="stored"') === 150;
    });
    deepStrictEqual(consumer.events("batch.stale"), []);
  }),
);

Deno.test(
  "a consumer writes a batch again if its COMMIT did not reach PostgreSQL",
  onPlace({}, async (place) => {
    await using link = await linkToDatabase(place);
    place.consumer({ env: { DATABASE_URL: link.through(place.databaseUrl) } });
    const sent = await place.publisher.send(backlog(0, 300, 1));
    await place.untilCaughtUp();

    const commit = Buffer.from("commit\0");
    link.onRequest = (bytes) => link.cuts > 0 || !Buffer.from(bytes).includes(commit);
    sent.push(...await place.publisher.send(backlog(300, 300, 1)));
    await eventually("the request to be cut off", () => link.cuts === 1);
    await accountFor(place, sent);
  }),
);

/** A few readings without any other record, which the consumer stores with one statement. */
function readings(from: number, count: number): Intended[] {
  return Array.from({ length: count }, (_, index) => {
    return reading(`c-${from + index}`, "2026-07-14T09:30:00Z", 70);
  });
}
