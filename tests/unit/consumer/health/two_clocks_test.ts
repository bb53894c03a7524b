import assert from "node:assert/strict";
import { formatInstant } from "../../../../workers/_shared/record/instant.ts";
import { createDecoder } from "../../../../workers/_shared/record/decode.ts";
import { TwoClocks } from "../../../../workers/consumer/health/two_clocks.ts";
import { bytes, NOW, VALID } from "../../../support/wire_record.ts";

const LIMITS = {
  minBpm: 30,
  maxBpm: 220,
  lowBpm: 45,
  highBpm: 180,
  maxClockSkewSeconds: 300,
  retentionDays: 30,
};
const DAY_MS = 86_400_000;
const YEAR_MS = 365 * DAY_MS;

/** @returns the reject reason for a reading `afterMs` after NOW, undefined if the reading is accepted */
function reasonFor(afterMs: number, ownMs: number, databaseMs: number): string | undefined {
  const decode = createDecoder(LIMITS, () => NOW + ownMs, () => NOW + databaseMs);
  const timestamp = formatInstant(BigInt(NOW + afterMs) * 1_000n);
  const decoded = decode(bytes(JSON.stringify({ ...VALID, timestamp })));
  return decoded.kind === "reject" ? decoded.reason : undefined;
}

Deno.test("a reading is rejected for its timestamp only if both clocks agree", () => {
  for (const wrongMs of [-10 * YEAR_MS, -3_600_000, 3_600_000, 10 * YEAR_MS]) {
    assert.equal(reasonFor(0, wrongMs, 0), undefined);
    assert.equal(reasonFor(0, 0, wrongMs), undefined);
    assert.equal(reasonFor(-29 * DAY_MS, wrongMs, 0), undefined);
    assert.equal(reasonFor(-29 * DAY_MS, 0, wrongMs), undefined);
    assert.equal(reasonFor(11 * YEAR_MS, wrongMs, 0), "timestamp_in_future");
    assert.equal(reasonFor(-11 * YEAR_MS, wrongMs, 0), "too_old");
  }
  assert.equal(reasonFor(300_000, 0, 0), undefined);
  assert.equal(reasonFor(300_001, 0, 0), "timestamp_in_future");
  assert.equal(reasonFor(-30 * DAY_MS, 0, 0), undefined);
  assert.equal(reasonFor(-30 * DAY_MS - 1, 0, 0), "too_old");
});

Deno.test("TwoClocks advances the database's clock with the monotonic clock, even if the consumer's clock jumps", async () => {
  let ownMs = NOW;
  let monotonicMs = 5_000;
  const clocks = new TwoClocks(() => ownMs, () => monotonicMs);
  assert.equal(clocks.database(), NOW, "without an answer of the database, the consumer's clock must count");
  // `query` is generic, so its caller chooses the type of the rows.
  await clocks.ask({ query: <T>() => Promise.resolve([{ ms: NOW + 250 }] as T[]) });
  monotonicMs += 1_000;
  ownMs += YEAR_MS;
  assert.equal(clocks.database(), NOW + 1_250);
  assert.equal(clocks.aheadMs, YEAR_MS - 1_250);
});
