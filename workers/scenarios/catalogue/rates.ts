/** Heart rates: normal ones, anomalies, and both sides of every threshold. */
import type { Anomaly } from "../../_shared/record/heartbeat.ts";
import { type Expected, raw, reading, rejected, type Run, type Scenario, stored } from "../scenario.ts";

const TIMESTAMP = "2026-07-14T09:30:00.123456Z";

function rate(run: Run, what: string, heartRate: number, outcome: Anomaly | "normal" | "out of range") {
  const customer = run.customer(`rate-${what.replaceAll(" ", "-")}`);
  const expected: Expected = outcome === "out of range"
    ? rejected("heart_rate_out_of_range")
    : stored(customer, TIMESTAMP, heartRate, outcome === "normal" ? null : outcome);
  const title = `${what}, ${heartRate} beats per minute`;
  return reading(title, customer, { timestamp: TIMESTAMP, heart_rate: heartRate }, expected);
}

export const RATES: readonly Scenario[] = [
  {
    name: "normal",
    promise: "ordinary readings become rows without an anomaly",
    records: (run) => [
      rate(run, "between the alarms", run.heartRate, "normal"),
      ...["09:31:00.000000", "09:31:01.000000", "09:31:02.500000"].map((time) => {
        const customer = run.customer("series");
        const ts = `2026-07-14T${time}Z`;
        const expected = stored(customer, ts, run.heartRate);
        return reading(`a series, ${time}`, customer, { timestamp: ts, heart_rate: run.heartRate }, expected);
      }),
    ],
  },
  {
    name: "low_anomaly",
    promise: "a valid rate below HEART_RATE_LOW is stored and flagged low",
    // A deployment may have set LOW to MIN: then there is no valid rate below it.
    records: (run) =>
      run.limits.lowBpm > run.limits.minBpm
        ? [rate(run, "just below low", run.limits.lowBpm - 1, "low")]
        : [],
  },
  {
    name: "high_anomaly",
    promise: "a valid rate above HEART_RATE_HIGH is stored and flagged high",
    records: (run) =>
      run.limits.highBpm < run.limits.maxBpm
        ? [rate(run, "just above high", run.limits.highBpm + 1, "high")]
        : [],
  },
  {
    name: "boundaries",
    promise: "each threshold itself belongs to the inside",
    records: (run) => {
      const { minBpm, lowBpm, highBpm, maxBpm } = run.limits;
      return [
        rate(run, "at the minimum", minBpm, minBpm < lowBpm ? "low" : "normal"),
        rate(run, "at low", lowBpm, "normal"),
        rate(run, "at high", highBpm, "normal"),
        rate(run, "at the maximum", maxBpm, maxBpm > highBpm ? "high" : "normal"),
      ];
    },
  },
  {
    name: "out_of_range",
    promise: "a rate that no heart has is rejected and nothing is stored",
    records: (run) => [
      rate(run, "just below the minimum", run.limits.minBpm - 1, "out of range"),
      rate(run, "just above the maximum", run.limits.maxBpm + 1, "out of range"),
      rate(run, "zero", 0, "out of range"),
      rate(run, "negative", -run.heartRate, "out of range"),
      rate(run, "beyond a smallint", 32_768, "out of range"),
      rate(run, "beyond a bigint", 1e19, "out of range"),
    ],
  },
  {
    name: "heart_rate_forms",
    promise: "every JSON number that is a whole one is taken, and nothing else",
    records: (run) => {
      const form = (written: string, accepted: boolean) => {
        const customer = run.customer(`form-${written.replaceAll(/[^0-9a-z.+-]/gi, "_")}`);
        const value = `{"customer_id":"${customer}","timestamp":"${TIMESTAMP}","heart_rate":${written}}`;
        const expected = accepted
          ? stored(customer, TIMESTAMP, run.heartRate)
          : rejected("invalid_heart_rate");
        return raw(`written as ${written}`, customer, value, expected, customer);
      };
      const rate = run.heartRate;
      return [
        form(`${rate}.0`, true),
        form(`${rate / 10}e1`, true),
        form(`${rate}0E-1`, true),
        form(`${rate}.5`, false),
        form(`${rate}.00000000000000001`, false),
        form(`"${rate}"`, false),
        form("true", false),
        form("null", false),
        form(`[${rate}]`, false),
        form("1e-400", false),
      ];
    },
  },
];
