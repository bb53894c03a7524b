import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import type { Limits } from "../../../../workers/_shared/record/heartbeat.ts";
import { createDecoder } from "../../../../workers/_shared/record/decode.ts";
import { type Hostile, hostileRecord } from "../../../support/hostile/records.ts";
import { assertAgrees, show } from "../../../support/oracle/compare.ts";
import { verdictOf } from "../../../support/oracle/verdict.ts";
import { property } from "../../../support/property.ts";
import { NOW } from "../../../support/wire_record.ts";

const LIMITS: Limits = { minBpm: 30, maxBpm: 220, lowBpm: 45, highBpm: 180, maxClockSkewSeconds: 300 };
const INPUTS = Number(Deno.env.get("PROPERTY_RUNS") ?? 10_000);

Deno.test("decode() gives the same verdict as the oracle of the specification on any record", () => {
  const decode = createDecoder(LIMITS, () => NOW);
  fc.assert(
    fc.property(hostileRecord(NOW), ({ value }) => assertAgrees(decode, value, LIMITS, NOW)),
    property("verdicts", INPUTS),
  );
});

Deno.test("decode() gives the same verdict as the oracle of the specification when retention is on", () => {
  const limits = { ...LIMITS, retentionDays: 200, minBpm: 50, maxBpm: 150, lowBpm: 60, highBpm: 140 };
  const decode = createDecoder(limits, () => NOW);
  fc.assert(
    fc.property(hostileRecord(NOW), ({ value }) => assertAgrees(decode, value, limits, NOW)),
    property("verdicts with retention", INPUTS / 4),
  );
});

Deno.test("decode() reads a record that is part of a larger buffer, as in a fetched record batch", () => {
  const decode = createDecoder(LIMITS, () => NOW);
  fc.assert(
    fc.property(hostileRecord(NOW, 0), fc.nat({ max: 9 }), ({ value }, before) => {
      if (value === null) return;
      const around = Buffer.concat([Buffer.alloc(before, '"'), value, Buffer.from('"}72,]9')]);
      assertAgrees(decode, around.subarray(before, before + value.length), LIMITS, NOW);
    }),
    property("parts of buffers", INPUTS / 4),
  );
});

Deno.test("the oracle gives the verdict that the generator of a record intended", () => {
  fc.assert(
    fc.property(hostileRecord(NOW), ({ value, known }: Hostile) => {
      if (known === undefined) return;
      const verdict = verdictOf(value, LIMITS, NOW);
      const actual = verdict.kind === "reject"
        ? { reject: verdict.reason }
        : { customerId: verdict.customerId, heartRate: verdict.heartRate };
      assert.deepEqual(actual, known, show(value));
    }),
    property("intended verdicts", INPUTS / 4),
  );
});
