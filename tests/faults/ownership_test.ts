/** Owners that do not know whether they still own: frozen ones, lost answers, wires that went silent. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { type Link, openLink } from "../../stack/link.ts";
import { eventually } from "../support/eventually.ts";
import { judge } from "../support/judge.ts";
import type { Place } from "../support/place.ts";
import { onPlace } from "../support/services.ts";
import { backlog } from "./backlog.ts";

const QUICK_TAKEOVER = { KAFKA_SESSION_TIMEOUT_MS: "6000" };

function linkToDatabase(place: Place): Promise<Link> {
  const url = new URL(place.databaseUrl);
  return openLink({ host: url.hostname, port: Number(url.port) });
}

async function nextOffset(place: Place): Promise<number> {
  const [row] = await place.sql<{ next: string }>(
    "select sum(next_offset) as next from public.ingest_offsets",
  );
  return Number(row?.next ?? 0);
}

Deno.test(
  "a consumer frozen in the middle of a batch stores nothing after its successor took over",
  onPlace({}, async (place) => {
    const frozen = place.consumer({ env: QUICK_TAKEOVER });
    const sent = await place.publisher.send(backlog(0, 300, 1));
    await place.caughtUp();

    const holder = await place.session();
    await holder.query("begin; lock table public.heartbeats in share mode");
    sent.push(...await place.publisher.send(backlog(300, 300, 1)));
    await eventually("its batch to wait for the lock", async () => {
      const rows = await place.sql(
        "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      );
      return rows.length === 1;
    });
    frozen.kill("SIGSTOP");
    await holder.query("commit");
    await holder.end();

    const successor = place.consumer({ env: QUICK_TAKEOVER });
    // No timeout of PostgreSQL reaches a session that waits for its client in a COPY.
    await successor.said("database.frozen_writers_ended");
    await place.caughtUp();
    await judge(place, sent);
    frozen.kill("SIGCONT");
    // It notices that it is no owner any more, and takes its place in the group again.
    await frozen.said("batch.stale");
    sent.push(...await place.publisher.send(backlog(600, 300, 1)));
    await place.caughtUp();
    await judge(place, sent);
    strictEqual(await frozen.stop(), 0);
    sent.push(...await place.publisher.send(backlog(900, 300, 1)));
    await place.caughtUp();
    await judge(place, sent);
    ok(successor.running);
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
    strictEqual(await nextOffset(place), 600, "it did commit");
    sent.push(...await place.publisher.send(backlog(600, 300, 1)));
    await place.caughtUp();
    await judge(place, sent);
    // What it says it stored is what is stored, also of the batch whose answer it never saw.
    await eventually("its own count", async () => {
      const [row] = await place.sql("select count(*) from public.heartbeats");
      return await consumer.metric("heartbeat_records_total", 'outcome="stored"') === Number(row?.count);
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
    await place.caughtUp();
    await judge(place, sent);
  }),
);

Deno.test(
  "a database connection that falls silent is given up, shown, and replaced",
  onPlace({ partitions: 2 }, async (place) => {
    await using link = await linkToDatabase(place);
    const env = { ...QUICK_TAKEOVER, DATABASE_URL: link.through(place.databaseUrl) };
    const consumer = place.consumer({ env });
    const sent = await place.publisher.send(backlog(0, 300, 2));
    await place.caughtUp();

    link.silent = true;
    sent.push(...await place.publisher.send(backlog(300, 300, 2)));
    await consumer.notReady(/database: Cannot /);
    strictEqual((await consumer.get("/livez")).status, 200);
    link.silent = false;
    await place.caughtUp();
    await judge(place, sent);
    await consumer.ready();
  }),
);

Deno.test(
  "a connection that falls silent in the middle of a COPY is given up, and the batch written again",
  onPlace({}, async (place) => {
    await using link = await linkToDatabase(place);
    const env = { ...QUICK_TAKEOVER, DATABASE_URL: link.through(place.databaseUrl) };
    const consumer = place.consumer({ env });
    const sent = await place.publisher.send(backlog(0, 300, 1));
    await place.caughtUp();

    const copying = Buffer.from("copy public.heartbeats");
    link.onRequest = (bytes) => {
      if (Buffer.from(bytes).includes(copying)) link.silent = true;
      return true;
    };
    sent.push(...await place.publisher.send(backlog(300, 300, 1)));
    await consumer.notReady(/database: Cannot /);
    link.onRequest = () => true;
    link.silent = false;
    // Its session still holds the lock of the offset, since PostgreSQL never heard of the end.
    await consumer.said("database.frozen_writers_ended");
    await place.caughtUp();
    await judge(place, sent);
  }),
);

Deno.test(
  "while a silent database keeps many partitions waiting for their turn, the process counts as alive",
  onPlace({ partitions: 24 }, async (place) => {
    await using link = await linkToDatabase(place);
    const env = { ...QUICK_TAKEOVER, DATABASE_URL: link.through(place.databaseUrl) };
    const consumer = place.consumer({ env });
    const sent = await place.publisher.send(backlog(0, 240, 24));
    await place.caughtUp();

    link.silent = true;
    sent.push(...await place.publisher.send(backlog(240, 240, 24)));
    // Two at a time, each until it gives up: the last in the queue waits for longer than a hung loop may take.
    await eventually("three quarters to have had their turn", async () => {
      const { status, text } = await consumer.get("/livez");
      strictEqual(status, 200, text);
      return await consumer.metric("heartbeat_retries_total") >= 18;
    });
    link.silent = false;
    await place.caughtUp();
    await judge(place, sent);
  }),
);
