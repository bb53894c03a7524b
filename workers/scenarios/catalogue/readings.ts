import type { Anomaly } from "../../_shared/record/heartbeat.ts";
import {
  fromTemplate,
  reading,
  type ReadingOverrides,
  type Run,
  type Scenario,
  scenario,
  TS,
} from "./scenario.ts";

function rate(
  run: Run,
  what: string,
  heartRate: number,
  outcome: Anomaly | null | "heart_rate_out_of_range",
) {
  const customer = run.customer(`rate-${what.replaceAll(" ", "-")}`);
  const overrides: ReadingOverrides = outcome === "heart_rate_out_of_range"
    ? { outcome }
    : { anomaly: outcome };
  return reading(run, `${what}, ${heartRate} beats per minute`, customer, { heartRate, ...overrides });
}

export const RATES: readonly Scenario[] = [
  scenario("normal", "ordinary readings become rows without an anomaly", (run) => [
    rate(run, "inside the alarm limits", run.heartRate, null),
    ...["09:31:00.000000", "09:31:01.000000", "09:31:02.500000"].map((time) =>
      reading(run, `a series, ${time}`, run.customer("series"), { ts: `2026-07-14T${time}Z` })
    ),
  ]),
  // A deployment can set LOW to MIN and HIGH to MAX. Then no valid heart rate is beyond them.
  scenario("low_anomaly", "a valid rate below HEART_RATE_LOW is stored and flagged low", (run) => {
    const { minBpm, lowBpm } = run.limits;
    return lowBpm > minBpm ? [rate(run, "just below low", lowBpm - 1, "low")] : [];
  }),
  scenario("high_anomaly", "a valid rate above HEART_RATE_HIGH is stored and flagged high", (run) => {
    const { highBpm, maxBpm } = run.limits;
    return highBpm < maxBpm ? [rate(run, "just above high", highBpm + 1, "high")] : [];
  }),
  scenario("boundaries", "a limit itself is inside its range", (run) => {
    const { minBpm, lowBpm, highBpm, maxBpm } = run.limits;
    return [
      rate(run, "at the minimum", minBpm, minBpm < lowBpm ? "low" : null),
      rate(run, "at low", lowBpm, null),
      rate(run, "at high", highBpm, null),
      rate(run, "at the maximum", maxBpm, maxBpm > highBpm ? "high" : null),
    ];
  }),
  scenario("out_of_range", "an impossible heart rate is rejected and not stored", (run) =>
    ([
      ["just below the minimum", run.limits.minBpm - 1],
      ["just above the maximum", run.limits.maxBpm + 1],
      ["zero", 0],
      ["negative", -run.heartRate],
      ["beyond a smallint", 32_768],
      ["beyond a bigint", 1e19],
    ] as const).map(([what, heartRate]) => rate(run, what, heartRate, "heart_rate_out_of_range"))),
  scenario("heart_rate_forms", "a heart rate is any JSON number with an integer value", (run) => {
    const rate = run.heartRate;
    const taken = [`${rate}.0`, `${rate / 10}e1`, `${rate}0E-1`];
    const refused = [
      `${rate}.5`,
      `${rate}.00000000000000001`,
      `"${rate}"`,
      "true",
      "null",
      `[${rate}]`,
      "1e-400",
    ];
    return [...taken, ...refused].map((form, index) =>
      fromTemplate(run, `form-${index}`, [
        `written as ${form}`,
        `{"customer_id":"ID","timestamp":"${TS}","heart_rate":${form}}`,
        taken.includes(form) ? undefined : "invalid_heart_rate",
      ])
    );
  }),
];

export const REPEATS: readonly Scenario[] = [
  scenario("duplicate", "a repeated reading is counted, and neither stored nor rejected", (run) => {
    const [customer, rewritten] = [run.customer("twice"), run.customer("rewritten")];
    const again = { outcome: "duplicate" } as const;
    return [
      reading(run, "the first", customer),
      reading(run, "the second", customer, again),
      reading(run, "the third", customer, again),
      reading(run, "an instant", rewritten),
      reading(run, "the same instant with an offset", rewritten, {
        timestamp: "2026-07-14T11:30:00.1234569+02:00",
        ...again,
      }),
    ];
  }),
  scenario("duplicate_elsewhere", "a repeated reading in another partition is a duplicate too", (run) => {
    const customer = run.customer("elsewhere");
    const again = reading(run, "in the next partition", customer, { outcome: "duplicate" });
    // The consumer may read either first; the outcome is the same.
    return [reading(run, "in its own partition", customer), { ...again, partitionShift: 1 }];
  }),
  scenario(
    "conflicting_duplicate",
    "another heart rate for the same instant is rejected, and the first one stays",
    (run) => {
      const [customer, corrected] = [run.customer("conflict"), run.customer("corrected")];
      const other: ReadingOverrides = { heartRate: run.otherHeartRate, outcome: "conflicting_duplicate" };
      const impossible: ReadingOverrides = {
        heartRate: run.limits.maxBpm + 1,
        outcome: "heart_rate_out_of_range",
      };
      return [
        reading(run, "the first", customer),
        reading(run, "another rate", customer, other),
        reading(run, "the first again", customer, { outcome: "duplicate" }),
        reading(run, "an impossible rate", corrected, impossible),
        reading(run, "a valid rate after it", corrected),
      ];
    },
  ),
  scenario(
    "out_of_order",
    "late readings are stored like any other",
    (run) =>
      ["09:30:03", "09:30:01", "09:30:04", "09:29:59", "09:30:02"].map((time) =>
        reading(run, time, run.customer("late"), { ts: `2026-07-14T${time}.000000Z` })
      ),
  ),
];
