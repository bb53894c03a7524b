/** The same reading again, another one for the same instant, and readings in the wrong order. */
import {
  duplicate,
  type Expected,
  type PlannedRecord,
  reading,
  rejected,
  type Scenario,
  stored,
} from "../scenario.ts";

const TS = "2026-07-14T09:30:00.000001Z";

function beat(what: string, customer: string, heartRate: number, expected: Expected, ts = TS): PlannedRecord {
  return reading(what, customer, { timestamp: ts, heart_rate: heartRate }, expected);
}

export const REPEATS: readonly Scenario[] = [
  {
    name: "duplicate",
    promise: "the same reading again is counted and not stored or rejected",
    records: (run) => {
      const { heartRate } = run;
      const customer = run.customer("twice");
      const written = run.customer("rewritten");
      const again = duplicate(customer, TS, heartRate);
      return [
        beat("the first", customer, heartRate, stored(customer, TS, heartRate)),
        beat("the second", customer, heartRate, again),
        beat("the third", customer, heartRate, again),
        beat("an instant", written, heartRate, stored(written, TS, heartRate)),
        beat(
          "the same with an offset",
          written,
          heartRate,
          duplicate(written, TS, heartRate),
          "2026-07-14T11:30:00.0000019+02:00",
        ),
      ];
    },
  },
  {
    name: "duplicate_elsewhere",
    promise: "the same reading in another partition is a duplicate too",
    records: (run) => {
      const customer = run.customer("elsewhere");
      const one = stored(customer, TS, run.heartRate);
      return [
        beat("in its own partition", customer, run.heartRate, one),
        // Which of the two is read first is the consumer's affair; the outcome is the same.
        {
          ...beat("in the next partition", customer, run.heartRate, duplicate(customer, TS, run.heartRate)),
          partitionShift: 1,
        },
      ];
    },
  },
  {
    name: "conflicting_duplicate",
    promise: "another rate for the same instant is rejected, and the first one stays",
    records: (run) => {
      const { heartRate, otherHeartRate } = run;
      const customer = run.customer("conflict");
      const corrected = run.customer("corrected");
      return [
        beat("the first", customer, heartRate, stored(customer, TS, heartRate)),
        beat("another rate", customer, otherHeartRate, rejected("conflicting_duplicate")),
        beat("the first again", customer, heartRate, duplicate(customer, TS, heartRate)),
        beat("an impossible rate", corrected, run.limits.maxBpm + 1, rejected("heart_rate_out_of_range")),
        beat("a possible one after it", corrected, heartRate, stored(corrected, TS, heartRate)),
      ];
    },
  },
  {
    name: "out_of_order",
    promise: "late readings are stored like any other",
    records: (run) => {
      const customer = run.customer("late");
      return ["09:30:03", "09:30:01", "09:30:04", "09:29:59", "09:30:02"].map((time) => {
        const ts = `2026-07-14T${time}.000000Z`;
        return beat(time, customer, run.heartRate, stored(customer, ts, run.heartRate), ts);
      });
    },
  },
];
