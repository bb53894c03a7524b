import { deepStrictEqual, doesNotMatch, ok } from "node:assert";
import { Buffer } from "node:buffer";
import type { Link } from "../../stack/network/link.ts";
import { eventually } from "../../lab/eventually.ts";
import { type Intended, reading } from "../support/judge.ts";
import type { Sent } from "../../lab/produce.ts";
import { QUICK_TAKEOVER } from "../support/quick_takeover.ts";
import { linkToKafka, onPlace } from "../support/services.ts";
import { accountFor } from "./account.ts";
import { backlog } from "./backlog.ts";
import { Requests } from "./heartbeats.ts";

/** Source: https://kafka.apache.org/protocol#protocol_api_keys */
const FETCH = 1;
/** A response begins with its length, the correlation id and the empty list of tags. */
const THROTTLE_TIME_POS = 4 + 4 + 1;
const BYTES_PER_SECOND = 5_000;

Deno.test(
  "an idle consumer sends Kafka only a few requests per heartbeat, and logs no warning",
  onPlace({}, async (place) => {
    const link = await linkToKafka();
    const env = { ...QUICK_TAKEOVER, KAFKA_BOOTSTRAP_SERVERS: `127.0.0.1:${link.port}` };
    const consumer = place.consumer({ env });
    const sent = await place.publisher.send([reading("a", "2026-07-14T09:30:00Z", 70)]);
    await accountFor(place, sent);
    const requests = new Requests(link);
    await requests.waitForHeartbeats(20);
    requests.stop();
    // A fetch waits at the broker for about the interval between two heartbeats. Without that wait, a loop sends hundreds of
    // requests.
    ok(requests.total < 10 * 20, `the consumer sent ${requests.total} requests in the time of 20 heartbeats`);
    deepStrictEqual(consumer.lines.filter(({ level }) => level !== "info" && level !== "debug"), []);
    doesNotMatch(consumer.output, /warning/i);
  }),
);

Deno.test(
  "while a quota throttles its fetches, a consumer reads on without a stall, a retry or a warning",
  onPlace({}, async (place) => {
    const link = await linkToKafka();
    const entities = [{ entityType: "client-id" as const, entityName: "heartbeat-consumer" }];
    const quota = { key: "consumer_byte_rate" as const, value: BYTES_PER_SECOND, remove: false as const };
    await place.admin.alterClientQuotas({ entries: [{ entities, ops: [quota] }] });
    try {
      const throttled = countThrottled(link);
      const consumer = place.consumer({ env: { KAFKA_BOOTSTRAP_SERVERS: `127.0.0.1:${link.port}` } });
      const sent: Sent<Intended>[] = [];
      // Once the quota is used up, the broker delays each of these small responses by about a second.
      for (let round = 0; throttled.fetches < 3; round++) {
        ok(round < 300, "the broker throttled no fetch");
        sent.push(...await place.publisher.send(backlog(round * 50, 50, 1)));
        await eventually("the records to be written", async () => {
          return await consumer.metric("heartbeat_records_total") === sent.length;
        });
      }
      await accountFor(place, sent);
      const warnings = consumer.lines.filter(({ level, event }) => {
        return level !== "info" && level !== "debug" && event !== "record.rejected";
      });
      deepStrictEqual(warnings, []);
      doesNotMatch(consumer.output, /TimeoutNegativeWarning/);
    } finally {
      link.onRequest = link.onAnswer = () => true;
      const { key } = quota;
      await place.admin.alterClientQuotas({ entries: [{ entities, ops: [{ key, remove: true }] }] });
    }
  }),
);

function countThrottled(link: Link): { fetches: number } {
  const count = { fetches: 0 };
  const fetches = new Set<number>();
  link.onRequest = (bytes) => {
    const request = Buffer.from(bytes);
    // A request begins with its length, the API key, the API version and the correlation id.
    if (request.readInt16BE(4) === FETCH) fetches.add(request.readInt32BE(8));
    return true;
  };
  link.onAnswer = (bytes) => {
    const answer = Buffer.from(bytes);
    if (answer.length < THROTTLE_TIME_POS + 4 || !fetches.delete(answer.readInt32BE(4))) return true;
    if (answer.readInt32BE(THROTTLE_TIME_POS) > 0) count.fetches++;
    return true;
  };
  return count;
}
