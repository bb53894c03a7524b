import { deepStrictEqual } from "node:assert";
import type { Anomaly, Reading } from "../../../../workers/_shared/record/heartbeat.ts";
import { parseInstant } from "../../../../workers/_shared/record/instant.ts";
import { Readings } from "../../../../workers/consumer/store/readings.ts";
import { latestOf, minutesOf } from "../../../../workers/consumer/store/roll_up.ts";

function reading(customerId: string, at: string, heartRate: number, anomaly: Anomaly | null = null): Reading {
  const ts = parseInstant(at);
  if (ts === undefined) throw new TypeError(at);
  return { customerId, ts, heartRate, anomaly };
}

function columnsOf(all: readonly Reading[]): Readings {
  const readings = new Readings(all.length);
  all.forEach((one, index) => readings.addReading(one, index));
  return readings;
}

/** Minutes as they are written, customers by name. */
function minutes(all: readonly Reading[]) {
  const readings = columnsOf(all);
  return minutesOf(readings, readings.ordered()).map(({ customer, ...sums }) => {
    return { customer: readings.customers.text(customer), ...sums };
  });
}

function seconds(at: string): number {
  return Date.parse(at) / 1000;
}

Deno.test("minutesOf() adds up each customer's minutes, anomalies by kind", () => {
  const all = minutes([
    reading("b", "2026-07-14T09:30:00Z", 60),
    reading("a", "2026-07-14T09:30:59.999999Z", 200, "high"),
    reading("a", "2026-07-14T09:30:00Z", 40, "low"),
    reading("a", "2026-07-14T09:31:00Z", 70),
  ]);
  deepStrictEqual(all, [
    {
      customer: "a",
      seconds: seconds("2026-07-14T09:30:00Z"),
      readings: 2,
      sum: 240,
      min: 40,
      max: 200,
      low: 1,
      high: 1,
    },
    {
      customer: "a",
      seconds: seconds("2026-07-14T09:31:00Z"),
      readings: 1,
      sum: 70,
      min: 70,
      max: 70,
      low: 0,
      high: 0,
    },
    {
      customer: "b",
      seconds: seconds("2026-07-14T09:30:00Z"),
      readings: 1,
      sum: 60,
      min: 60,
      max: 60,
      low: 0,
      high: 0,
    },
  ]);
});

Deno.test("minutesOf() puts an instant before 1970 into the minute that began before it", () => {
  const [minute] = minutes([reading("a", "1969-12-31T23:59:59.999999Z", 60)]);
  deepStrictEqual(minute?.seconds, -60);
});

Deno.test("latestOf() keeps the latest by event time, whenever it arrived, customers in order", () => {
  const late = reading("a", "2026-07-14T09:00:00Z", 61);
  const latest = reading("a", "2026-07-14T09:30:00.000001Z", 62);
  const earlier = reading("a", "2026-07-14T09:30:00Z", 63);
  const other = reading("B", "2001-01-01T00:00:00Z", 64);
  const readings = columnsOf([earlier, latest, late, other]);
  const rows = latestOf(readings, readings.ordered());
  deepStrictEqual(rows.map((row) => readings.reading(row)), [other, latest]);
});
