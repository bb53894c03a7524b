/** 100,000 records with 1 % bad ones: in peace, under kill -9, and with consumers that come and go. */
import { strictEqual } from "node:assert";
import { eventually } from "../support/eventually.ts";
import { judge } from "../support/judge.ts";
import type { Place } from "../support/place.ts";
import { onPlace } from "../support/services.ts";
import { backlog, seeded } from "./backlog.ts";

const COUNT = 100_000;
const PARTITIONS = 6;
const QUICK_TAKEOVER = { KAFKA_SESSION_TIMEOUT_MS: "6000" };

async function accountedFor(place: Place): Promise<number> {
  // The table is not there before the first consumer has made it.
  const rows = await place.sql<{ done: string }>(
    "select coalesce(sum(next_offset - first_offset), 0) as done from public.ingest_offsets",
  ).catch(() => []);
  return Number(rows[0]?.done ?? 0);
}

Deno.test(
  "100,000 records, 1 % of them bad: none lost, none twice, each reject with its bytes",
  onPlace({ partitions: PARTITIONS }, async (place) => {
    const sent = await place.publisher.send(backlog(0, COUNT, PARTITIONS));
    await place.consumeAll();
    await judge(place, sent);
  }),
);

Deno.test(
  "kill -9 at 20 random moments of 100,000 records: none lost, none twice",
  onPlace({ partitions: PARTITIONS }, async (place) => {
    const random = seeded(20);
    const sent = [];
    for (let life = 0; life < 20; life++) {
      // A group would wait out the session of its dead member; the ledger, not the group, is what is tested here.
      const consumer = place.consumer({ env: { KAFKA_GROUP_ID: `${place.topic}-${life}` } });
      const goal = await accountedFor(place) + Math.floor(random() * COUNT / 20);
      const killed = eventually("progress", async () => await accountedFor(place) >= goal).then(() => {
        consumer.kill("SIGKILL");
        return consumer.exited;
      });
      // In small requests, so that the consumer has many small batches to be killed in.
      for (let at = 0; at < COUNT / 20; at += 250) {
        sent.push(...await place.publisher.send(backlog(life * COUNT / 20 + at, 250, PARTITIONS)));
      }
      await killed;
    }
    await place.consumeAll();
    await judge(place, sent);
  }),
);

Deno.test(
  "three consumers that join and leave every few seconds under load: none lost, none twice",
  onPlace({ partitions: PARTITIONS }, async (place) => {
    const random = seeded(3);
    const start = () => place.consumer({ env: { ...QUICK_TAKEOVER, BATCH_MAX_RECORDS: "500" } });
    const consumers = [start(), start(), start()];
    for (const consumer of consumers) await consumer.said("group.assigned");
    const sent = [];
    for (let round = 0; round < 12; round++) {
      sent.push(...await place.publisher.send(backlog(round * 5_000, 5_000, PARTITIONS)));
      const index = Math.floor(random() * consumers.length);
      // By turns in order and by surprise.
      if (round % 3 === 2) consumers[index]?.kill("SIGKILL");
      else strictEqual(await consumers[index]?.stop(), 0);
      const next = consumers[index] = start();
      await next.said("group.assigned");
    }
    await place.caughtUp();
    await judge(place, sent);
  }),
);
