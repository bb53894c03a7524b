import { strictEqual } from "node:assert";
import { STALL_MS } from "../../workers/consumer/health/health_state.ts";
import { collidingIds } from "../support/colliding_ids.ts";
import { type Intended, reading } from "../support/judge.ts";
import { onPlace } from "../support/services.ts";
import { accountFor } from "./account.ts";

const PARTITIONS = 4;

Deno.test(
  "a consumer stores readings of 20,000 customer ids with the same hash from each of four partitions, and stays alive",
  onPlace({ partitions: PARTITIONS, topicConfig: { "max.message.bytes": "4194304" } }, async (place) => {
    const ids = collidingIds(20_000);
    const sent = [];
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const records = ids.map((id, index): Intended =>
        reading(id, `2026-07-14T09:30:0${partition}Z`, 60 + index % 100, { key: null, partition })
      );
      sent.push(...await place.publisher.send(records, { compression: "zstd", inOneRequest: true }));
    }
    const consumer = place.consumer();
    let isStored = false;
    const livenessChecks = (async () => {
      // Liveness also fails if the consumer does not answer within 30 s.
      while (!isStored) strictEqual((await consumer.get("/livez", STALL_MS)).status, 200);
    })();
    await Promise.all([livenessChecks, place.untilCaughtUp().finally(() => isStored = true)]);
    await accountFor(place, sent);
  }),
);
