import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { eventually } from "../../../lab/eventually.ts";
import { reading } from "../../support/judge.ts";
import type { Place } from "../../../lab/place.ts";
import { QUICK_TAKEOVER } from "../../support/quick_takeover.ts";
import { linkToKafka, onPlace } from "../../support/services.ts";
import { accountFor } from "../account.ts";
import { backlog } from "../backlog.ts";
import { assignmentsWhenStable, Requests } from "../heartbeats.ts";
import { linkToDatabase } from "../links.ts";

/** Starts two consumers, and waits until each has one partition and the group's assignment is stable. */
async function startPair(place: Place, env: Readonly<Record<string, string>>) {
  const requests = new Requests(await linkToKafka());
  const consumers = [place.consumer({ env }), place.consumer({ env })];
  await eventually("a partition each", async () => {
    const shares = await Promise.all(
      consumers.map((consumer) => consumer.metric("heartbeat_assigned_partitions")),
    );
    return shares.join("+") === "1+1";
  });
  return { requests, consumers, assignments: await assignmentsWhenStable(requests, consumers) };
}

Deno.test(
  "a database that answers a minute late causes no rebalance, and the consumers store everything afterwards",
  onPlace({ partitions: 2 }, async (place) => {
    await using link = await linkToDatabase(place);
    const { port } = await linkToKafka();
    const { requests, consumers, assignments } = await startPair(place, {
      ...QUICK_TAKEOVER,
      DATABASE_URL: link.through(place.databaseUrl),
      KAFKA_BOOTSTRAP_SERVERS: `127.0.0.1:${port}`,
    });
    const sent = await place.publisher.send(backlog(0, 300, 2));
    await accountFor(place, sent);

    link.impair({ latencyMs: 60_000 }, "answers");
    sent.push(...await place.publisher.send(backlog(300, 300, 2)));
    for (const consumer of consumers) {
      await consumer.untilNotReady(/database: Cannot /);
      // Four attempts of 7 s take longer than three session timeouts.
      await eventually(
        "four failed attempts",
        async () => await consumer.metric("heartbeat_retries_total") >= 4,
      );
      strictEqual((await consumer.get("/livez")).status, 200);
      await requests.waitForHeartbeats(10);
    }
    link.heal();
    await accountFor(place, sent);
    requests.stop();
    const now = consumers.map((consumer) => consumer.events("group.assigned").length);
    deepStrictEqual(now, assignments, "no rebalance happened");
    for (const consumer of consumers) deepStrictEqual(consumer.events("batch.stale"), []);
  }),
);

Deno.test(
  "a database with a latency of 300 ms causes no retry and no rebalance",
  onPlace({ partitions: 2 }, async (place) => {
    await using link = await linkToDatabase(place);
    const { port } = await linkToKafka();
    const { requests, consumers, assignments } = await startPair(place, {
      // The timeouts of database sessions follow from this setting. They are then much longer than the latency.
      KAFKA_SESSION_TIMEOUT_MS: "15000",
      DATABASE_URL: link.through(place.databaseUrl),
      KAFKA_BOOTSTRAP_SERVERS: `127.0.0.1:${port}`,
    });
    const sent = await place.publisher.send(backlog(0, 300, 2));
    await accountFor(place, sent);
    link.impair({ latencyMs: 300, jitterMs: 50 });
    for (let round = 1; round <= 3; round++) {
      sent.push(...await place.publisher.send(backlog(300 * round, 300, 2)));
    }
    await accountFor(place, sent);
    requests.stop();
    const now = consumers.map((consumer) => consumer.events("group.assigned").length);
    deepStrictEqual(now, assignments, "no rebalance happened");
    for (const consumer of consumers) strictEqual(await consumer.metric("heartbeat_retries_total"), 0);
  }),
);

Deno.test(
  "a consumer writes a batch in smaller parts if the whole batch takes longer than a statement may last",
  onPlace({}, async (place) => {
    strictEqual(await place.consumer({ args: ["--migrate-only"] }).exitCode(), 0);
    // With QUICK_TAKEOVER a statement may last 2.9 s, but all rows take 10 s.
    await place.sql(`
      create function delay() returns trigger language plpgsql as $$ begin perform pg_sleep(0.01); return new; end $$;
      create trigger delay before insert on public.heartbeats for each row execute function delay()`);
    const readings = Array.from({ length: 1_000 }, (_, index) => {
      return reading(`a-${index}`, "2026-07-14T09:30:00Z", 60 + index % 100);
    });
    const sent = await place.publisher.send(readings, { inOneRequest: true });
    const consumer = place.consumer({ env: QUICK_TAKEOVER });
    await place.untilCaughtUp({ withinMs: 300_000 });
    ok(await consumer.metric("heartbeat_retries_total") > 0, "no attempt took too long");
    deepStrictEqual(await place.sql("select sum(rejected) as rejected from public.ingest_offsets"), [
      { rejected: "0" },
    ]);
    await accountFor(place, sent);
  }),
);
