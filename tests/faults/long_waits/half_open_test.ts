import { strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { eventually } from "../../../lab/eventually.ts";
import { QUICK_TAKEOVER } from "../../support/quick_takeover.ts";
import { linkToKafka, onPlace } from "../../support/services.ts";
import { accountFor } from "../account.ts";
import { backlog } from "../backlog.ts";
import { linkToDatabase } from "../links.ts";

Deno.test(
  "a consumer replaces a database connection that goes silent, and shows the failure in readiness",
  onPlace({ partitions: 2 }, async (place) => {
    await using link = await linkToDatabase(place);
    const env = { ...QUICK_TAKEOVER, DATABASE_URL: link.through(place.databaseUrl) };
    const consumer = place.consumer({ env });
    const sent = await place.publisher.send(backlog(0, 300, 2));
    await place.untilCaughtUp();

    link.silent = true;
    sent.push(...await place.publisher.send(backlog(300, 300, 2)));
    await consumer.untilNotReady(/database: Cannot /);
    strictEqual((await consumer.get("/livez")).status, 200);
    link.silent = false;
    await accountFor(place, sent);
    await consumer.untilReady();
  }),
);

Deno.test(
  "a consumer replaces a database connection that goes silent in the middle of a COPY, and writes the batch again",
  onPlace({}, async (place) => {
    await using link = await linkToDatabase(place);
    const env = { ...QUICK_TAKEOVER, DATABASE_URL: link.through(place.databaseUrl) };
    const consumer = place.consumer({ env });
    const sent = await place.publisher.send(backlog(0, 300, 1));
    await place.untilCaughtUp();

    const copying = Buffer.from("copy public.heartbeats");
    link.onRequest = (bytes) => {
      if (Buffer.from(bytes).includes(copying)) link.silent = true;
      return true;
    };
    sent.push(...await place.publisher.send(backlog(300, 300, 1)));
    await consumer.untilNotReady(/database: Cannot /);
    link.onRequest = () => true;
    link.silent = false;
    // PostgreSQL does not know that the old connection is dead, so its session still locks the ledger row.
    await consumer.untilLogged("database.frozen_writers_ended");
    await accountFor(place, sent);
  }),
);

Deno.test(
  "a consumer stays alive while a database does not answer and many partitions wait for a connection",
  onPlace({ partitions: 24 }, async (place) => {
    await using link = await linkToDatabase(place);
    const env = { ...QUICK_TAKEOVER, DATABASE_URL: link.through(place.databaseUrl) };
    const consumer = place.consumer({ env });
    const sent = await place.publisher.send(backlog(0, 240, 24));
    await place.untilCaughtUp();

    link.silent = true;
    sent.push(...await place.publisher.send(backlog(240, 240, 24)));
    // The consumer tries only a few batches at the same time, each until its timeout. So the last ones wait longer than 30 s.
    await eventually("18 failed attempts", async () => {
      const { status, text } = await consumer.get("/livez");
      strictEqual(status, 200, text);
      return await consumer.metric("heartbeat_retries_total") >= 18;
    });
    link.silent = false;
    await accountFor(place, sent);
  }),
);

Deno.test(
  "a consumer replaces connections to Kafka that go silent, and shows the failure in readiness",
  onPlace({ partitions: 2 }, async (place) => {
    const link = await linkToKafka();
    const env = { ...QUICK_TAKEOVER, KAFKA_BOOTSTRAP_SERVERS: `127.0.0.1:${link.port}` };
    const consumer = place.consumer({ env });
    const sent = await place.publisher.send(backlog(0, 300, 2));
    await accountFor(place, sent);

    link.silent = true;
    sent.push(...await place.publisher.send(backlog(300, 300, 2)));
    await consumer.untilNotReady(/broker \d+: Cannot fetch records at Kafka [^"]*: Request timed out/);
    strictEqual((await consumer.get("/livez")).status, 200);
    link.silent = false;
    await accountFor(place, sent);
    await consumer.untilReady();
  }),
);
