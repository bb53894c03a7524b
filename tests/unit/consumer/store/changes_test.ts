import { deepStrictEqual } from "node:assert";
import type { Anomaly, Reading } from "../../../../workers/_shared/record/heartbeat.ts";
import { parseInstant } from "../../../../workers/_shared/record/instant.ts";
import { Readings } from "../../../../workers/consumer/store/readings.ts";
import { minutesOf } from "../../../../workers/consumer/store/changes.ts";

function reading(customerId: string, at: string, heartRate: number, anomaly: Anomaly | null = null): Reading {
  const ts = parseInstant(at);
  if (ts === undefined) throw new TypeError(at);
  return { customerId, ts, heartRate, anomaly };
}

function columnsOf(all: readonly Reading[]): Readings {
  const readings = new Readings(all.length);
  all.forEach((reading, index) => readings.addReading(reading, index));
  return readings;
}

/** @returns minute aggregates as customer, start, count, sum, minimum, maximum, low, high and latest heart rate */
function minutes(all: readonly Reading[]) {
  const readings = columnsOf(all);
  return minutesOf(readings, readings.ordered()).map((minute) => [
    readings.customers.text(minute.customer),
    new Date(minute.seconds * 1000).toISOString(),
    ...[minute.readings, minute.sum, minute.min, minute.max, minute.low, minute.high],
    readings.heartRate[minute.last],
  ]);
}

Deno.test("minutesOf() computes the minute aggregates of each customer, also before 1970", () => {
  const all = minutes([
    reading("b", "2026-07-14T09:30:00Z", 60),
    reading("a", "2026-07-14T09:30:59.999999Z", 200, "high"),
    reading("a", "2026-07-14T09:30:00Z", 40, "low"),
    reading("a", "2026-07-14T09:31:00Z", 70),
    reading("b", "1969-12-31T23:59:59.999999Z", 61),
  ]);
  deepStrictEqual(all, [
    ["a", "2026-07-14T09:30:00.000Z", 2, 240, 40, 200, 1, 1, 200],
    ["a", "2026-07-14T09:31:00.000Z", 1, 70, 70, 70, 0, 0, 70],
    ["b", "1969-12-31T23:59:00.000Z", 1, 61, 61, 61, 0, 0, 61],
    ["b", "2026-07-14T09:30:00.000Z", 1, 60, 60, 60, 0, 0, 60],
  ]);
});
