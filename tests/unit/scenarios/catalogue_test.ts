import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { REJECT_REASONS } from "../../../workers/_shared/record/heartbeat.ts";
import { SCENARIOS } from "../../../workers/scenarios/catalogue/mod.ts";
import { instantOf } from "../../../workers/scenarios/catalogue/fields.ts";
import { createRun } from "../../../workers/scenarios/catalogue/scenario.ts";

const LIMITS = { minBpm: 30, maxBpm: 220, lowBpm: 45, highBpm: 180, maxClockSkewSeconds: 300 };
const NOW = Date.UTC(2026, 6, 14, 9, 30);

function recordsOf(id: string, limits = LIMITS) {
  const run = createRun(id, limits, NOW);
  return SCENARIOS.flatMap(({ name: scenario, records }) =>
    records(run).map((record) => ({ scenario, ...record }))
  );
}

Deno.test("every reject reason that data alone can cause has a scenario", () => {
  const caused = new Set(
    recordsOf("a").flatMap(({ expected }) => expected.kind === "rejected" ? [expected.reason] : []),
  );
  // These need an operator's own constraint, or RETENTION_DAYS, which has no default.
  const needsSettings = ["database_rejected", "too_old"];
  const missing = REJECT_REASONS.filter((reason) => !needsSettings.includes(reason) && !caused.has(reason));
  assert.deepEqual(missing, []);
});

Deno.test("the scenarios test both sides of each default limit", () => {
  const rates = recordsOf("a")
    .filter(({ scenario }) => /anomaly|boundaries|out_of_range/.test(scenario))
    .map(({ value, expected }) => {
      const outcome = expected.kind === "rejected" ? "rejected" : expected.row.anomaly;
      return [JSON.parse(Buffer.from(value ?? []).toString()).heart_rate, outcome] as const;
    });
  const tried = new Map(rates);
  const found = [29, 30, 44, 45, 180, 181, 220, 221].map((rate) => tried.get(rate));
  assert.deepEqual(found, ["rejected", "low", "low", null, null, "high", "high", "rejected"]);
});

Deno.test("scenario names are unique, and every scenario has records", () => {
  const names = SCENARIOS.map(({ name }) => name);
  assert.deepEqual([...new Set(names)], names);
  const run = createRun("a", LIMITS, NOW);
  assert.deepEqual(SCENARIOS.filter(({ records }) => records(run).length === 0).map(({ name }) => name), []);
});

Deno.test("the same run id gives the same records, byte for byte", () => {
  assert.deepEqual(recordsOf("a"), recordsOf("a"));
});

Deno.test("only duplicates expect the same row as another record of the same run or of another run", () => {
  const keys = ["a", "b"].flatMap((id) => recordsOf(id)).flatMap(({ expected }) => {
    return expected.kind === "stored" ? [`${expected.row.ts} ${expected.row.customerId}`] : [];
  });
  const counts = Map.groupBy(keys, (key) => key);
  assert.deepEqual([...counts].filter(([, { length }]) => length > 1), []);
});

Deno.test("the customers of a run with the longest id have at most 128 characters", () => {
  for (const { scenario, what, expected } of recordsOf("r".repeat(40))) {
    if (expected.kind === "rejected") continue;
    const length = [...expected.row.customerId].length;
    assert.ok(length >= 1 && length <= 128, `${scenario}, ${what}: ${length} code points`);
  }
});

Deno.test("the scenarios omit anomalies that the limits make impossible", () => {
  const limits = { minBpm: 30, lowBpm: 30, highBpm: 220, maxBpm: 220, maxClockSkewSeconds: 0 };
  const anomalies = recordsOf("a", limits).filter(({ expected }) =>
    expected.kind !== "rejected" && expected.row.anomaly !== null
  );
  assert.deepEqual(anomalies.map(({ what }) => what), []);
});

Deno.test("instantOf() is exact to the microsecond", () => {
  const run = { ...createRun("a", LIMITS, NOW), integerId: 1e15 + 1_234_567_890_123 };
  assert.equal(instantOf(run), "1970-01-15T06:56:07.890123Z");
});
