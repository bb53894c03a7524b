/** A client that has nothing to do, or is told to go slowly, does so quietly and without a stall. */
import { deepStrictEqual, doesNotMatch, ok } from "node:assert";
import { Buffer } from "node:buffer";
import { eventually } from "../support/eventually.ts";
import { type Intended, reading } from "../support/judge.ts";
import type { Sent } from "../support/produce.ts";
import { linkToKafka, onPlace } from "../support/services.ts";
import { accountFor, QUICK_TAKEOVER } from "./account.ts";
import { backlog } from "./backlog.ts";
import { Requests } from "./heartbeats.ts";

/** Behind the message's length: correlation id, and the empty list of tags. */
const THROTTLE_TIME_AT = 4 + 4 + 1;

Deno.test(
  "an idle consumer asks Kafka a few times between two heartbeats, and warns of nothing",
  onPlace({}, async (place) => {
    const link = await linkToKafka();
    const env = { ...QUICK_TAKEOVER, KAFKA_BOOTSTRAP_SERVERS: `127.0.0.1:${link.port}` };
    const consumer = place.consumer({ env });
    const sent = await place.publisher.send([reading("a", "2026-07-14T09:30:00Z", 70)]);
    await accountFor(place, sent);
    const requests = new Requests(link);
    await requests.more(20);
    requests.stop();
    // One long poll takes about as long as the heartbeat's interval; a busy loop asks hundreds of times.
    ok(requests.total < 10 * 20, `${requests.total} requests in the time of 20 heartbeats`);
    deepStrictEqual(consumer.lines.filter(({ level }) => level !== "info" && level !== "debug"), []);
    doesNotMatch(consumer.output, /warning/i);
  }),
);

Deno.test(
  "a consumer that its quota throttles reads on without a stall, a retry or a warning",
  onPlace({}, async (place) => {
    const link = await linkToKafka();
    const entities = [{ entityType: "client-id" as const, entityName: "heartbeat-consumer" }];
    const quota = { key: "consumer_byte_rate" as const, value: 20_000, remove: false as const };
    await place.admin.alterClientQuotas({ entries: [{ entities, ops: [quota] }] });
    try {
      let throttled = 0;
      link.onAnswer = (bytes) => {
        const message = Buffer.from(bytes);
        const whole = message.length > THROTTLE_TIME_AT + 4 && message.readInt32BE(0) === message.length - 4;
        if (whole && message.readInt32BE(THROTTLE_TIME_AT) > 0) throttled++;
        return true;
      };
      const consumer = place.consumer({ env: { KAFKA_BOOTSTRAP_SERVERS: `127.0.0.1:${link.port}` } });
      // Several seconds' worth of the quota, in many answers.
      const sent: Sent<Intended>[] = [];
      for (let round = 0; round < 10; round++) {
        sent.push(...await place.publisher.send(backlog(round * 200, 200, 1)));
        await eventually("the records to be fetched", async () => {
          return await consumer.metric("heartbeat_records_total") === sent.length;
        });
      }
      await accountFor(place, sent);
      ok(throttled > 0, "the broker throttled");
      const alarming = consumer.lines.filter(({ level, event }) => {
        return level !== "info" && level !== "debug" && event !== "record.rejected";
      });
      deepStrictEqual(alarming, []);
      doesNotMatch(consumer.output, /TimeoutNegativeWarning/);
    } finally {
      const { key } = quota;
      await place.admin.alterClientQuotas({ entries: [{ entities, ops: [{ key, remove: true }] }] });
    }
  }),
);
