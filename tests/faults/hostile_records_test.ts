import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { createDecoder } from "../../workers/_shared/record/decode.ts";
import { intendedOutcomes } from "../support/hostile/intend.ts";
import { hostileRecord, repeatedReading } from "../support/hostile/records.ts";
import { bad, type Intended, judge, reading } from "../support/judge.ts";
import { assertAgrees } from "../support/oracle/compare.ts";
import { property } from "../support/property.ts";
import { onPlace } from "../support/services.ts";
import { accountFor } from "./account.ts";
import { seeded } from "./backlog.ts";

const COUNT = 100_000;
const PARTITIONS = 4;
const LIMITS = { minBpm: 30, maxBpm: 220, lowBpm: 45, highBpm: 180, maxClockSkewSeconds: 300 };
/** The broker then accepts every timestamp of a record. */
const ANY_TIME = { "message.timestamp.after.max.ms": "9223372036854775807", "retention.ms": "-1" };

Deno.test(
  "a consumer stores or rejects each of 100,000 generated malformed or unusual records as the specification says",
  onPlace({ partitions: PARTITIONS, topicConfig: ANY_TIME }, async (place) => {
    const { seed } = property("hostile records", COUNT);
    const nowMs = Date.now();
    const hostile = fc.sample(hostileRecord(nowMs), { numRuns: COUNT, seed });
    const decode = createDecoder(LIMITS, () => nowMs);
    for (const { value } of hostile) assertAgrees(decode, value, LIMITS, nowMs);
    const records = intendedOutcomes(hostile, {
      limits: LIMITS,
      nowMs,
      partitions: PARTITIONS,
      random: seeded(seed),
    });
    // Records whose verdict would change within minutes are left out.
    assert(records.length > 0.99 * COUNT, `only ${records.length} records are left`);
    const sent = await place.publisher.send(records);
    await place.consumeAll({ withinMs: 600_000 });
    await accountFor(place, sent);
  }),
);

Deno.test(
  "a consumer stores the first reading of each key, counts equal readings as duplicates, and rejects different ones",
  onPlace({ partitions: PARTITIONS, topicConfig: ANY_TIME }, async (place) => {
    const { seed } = property("repeated readings", 3_000);
    const nowMs = Date.now();
    const hostile = fc.sample(repeatedReading(nowMs), { numRuns: 3_000, seed });
    const options = { limits: LIMITS, nowMs, partitions: PARTITIONS, random: seeded(seed) };
    const sent = await place.publisher.send(intendedOutcomes(hostile, options));
    await place.consumeAll({ env: { BATCH_MAX_RECORDS: "200" } });
    await judge(place, sent);
  }),
);

Deno.test(
  "a consumer stores records with any Kafka timestamp, even one that is no date in PostgreSQL",
  onPlace({ topicConfig: ANY_TIME }, async (place) => {
    const consumer = place.consumer();
    const sent = [];
    for (const [index, timestampMs] of EXTREME_TIMESTAMPS.entries()) {
      const records: Intended[] = [
        { ...reading(`c-${index}`, "2026-07-14T09:30:00Z", 72), timestampMs },
        { ...bad("tombstone", null, { key: Buffer.from("nobody") }), timestampMs },
      ];
      sent.push(...await place.publisher.send(records));
      // Each timestamp gets its own batch, because the ledger stores only the timestamp of a batch's newest record.
      await place.untilCaughtUp();
    }
    await judge(place, sent);
    const { text } = await consumer.get("/metrics");
    assert.doesNotMatch(text, /^heartbeat_\S+ (-|NaN)/m);
  }),
);

/**
 * Milliseconds since the Unix epoch: the limits of 64 bits, the limits of PostgreSQL's timestamptz (years 4714 BC and
 * 294276), 1970, and the year 10000.
 */
const EXTREME_TIMESTAMPS: readonly bigint[] = [
  2n ** 63n - 1n,
  -(2n ** 63n),
  2n ** 62n,
  -(2n ** 62n),
  9_224_318_015_999_999n,
  9_224_318_016_000_000n,
  -210_866_803_200_001n,
  -1n,
  0n,
  253_402_300_800_000n,
];
