/** What is derived from the stored readings, kept in their transaction: minutes, and each customer's latest reading. */
import type { Session } from "../_shared/postgres.ts";
import { binaryArray } from "./binary_writer.ts";
import type { Readings } from "./readings.ts";

const MINUTE_SECONDS = 60;

/** What the readings of one customer and minute add up to. */
export interface Minute {
  /** Number of the customer. */
  readonly customer: number;
  /** Its first second, since the Unix epoch. */
  readonly seconds: number;
  readings: number;
  sum: number;
  min: number;
  max: number;
  low: number;
  high: number;
}

/**
 * Adds up readings by customer and minute.
 *
 * @param rows in order of customer and time, which is the order in which every writer locks the rows of minutes
 */
export function minutesOf(readings: Readings, rows: Int32Array): Minute[] {
  const minutes: Minute[] = [];
  let minute: Minute | undefined;
  for (const row of rows) {
    const customer = readings.customer[row] ?? 0;
    const heartRate = readings.heartRate[row] ?? 0;
    const seconds = Math.floor((readings.seconds[row] ?? 0) / MINUTE_SECONDS) * MINUTE_SECONDS;
    if (minute === undefined || minute.customer !== customer || minute.seconds !== seconds) {
      minute = { customer, seconds, readings: 0, sum: 0, min: heartRate, max: heartRate, low: 0, high: 0 };
      minutes.push(minute);
    }
    minute.readings++;
    minute.sum += heartRate;
    if (heartRate < minute.min) minute.min = heartRate;
    if (heartRate > minute.max) minute.max = heartRate;
    const anomaly = readings.anomaly(row);
    if (anomaly !== null) minute[anomaly]++;
  }
  return minutes;
}

/** The row with the latest instant of each customer. @param rows in order of customer and time */
export function latestOf(readings: Readings, rows: Int32Array): number[] {
  const latest: number[] = [];
  rows.forEach((row, index) => {
    const next = rows[index + 1];
    if (next === undefined || readings.customer[next] !== readings.customer[row]) latest.push(row);
  });
  return latest;
}

/** @param rows what was stored, in order of customer and time */
export async function rollUp(session: Session, readings: Readings, rows: Int32Array): Promise<void> {
  if (rows.length === 0) return;
  const { customers } = readings;
  const minutes = minutesOf(readings, rows);
  const column = (type: "int2" | "int4" | "int8", value: (minute: Minute) => number) =>
    binaryArray(type, minutes.length, (writer, index) => {
      const minute = minutes[index];
      if (minute === undefined) return;
      const write = { int2: writer.int16, int4: writer.int32, int8: writer.int64 }[type];
      write.call(writer, value(minute));
    });
  await session.query({
    name: "roll_up_minutes",
    text: `insert into public.heartbeats_1m as known
                  (customer_id, minute, readings, heart_rate_sum, heart_rate_min, heart_rate_max, low, high)
           select *
             from unnest($1::text[], $2::timestamptz[], $3::int[], $4::bigint[], $5::smallint[], $6::smallint[],
                         $7::int[], $8::int[])
               on conflict (customer_id, minute) do update
              set readings = known.readings + excluded.readings,
                  heart_rate_sum = known.heart_rate_sum + excluded.heart_rate_sum,
                  heart_rate_min = least(known.heart_rate_min, excluded.heart_rate_min),
                  heart_rate_max = greatest(known.heart_rate_max, excluded.heart_rate_max),
                  low = known.low + excluded.low,
                  high = known.high + excluded.high`,
    values: [
      binaryArray(
        "text",
        minutes.length,
        (writer, at) => writer.customer(customers, minutes[at]?.customer ?? 0),
      ),
      binaryArray(
        "timestamptz",
        minutes.length,
        (writer, at) => writer.timestamptz(minutes[at]?.seconds ?? 0, 0),
      ),
      column("int4", ({ readings }) => readings),
      column("int8", ({ sum }) => sum),
      column("int2", ({ min }) => min),
      column("int2", ({ max }) => max),
      column("int4", ({ low }) => low),
      column("int4", ({ high }) => high),
    ],
  });
  const latest = latestOf(readings, rows);
  const row = (index: number) => latest[index] ?? 0;
  const { customer, seconds, micros, heartRate } = readings;
  await session.query({
    name: "roll_up_latest",
    text: `insert into public.customer_latest as known (customer_id, ts, heart_rate, anomaly)
           select customer_id, ts, heart_rate, nullif(anomaly, '')
             from unnest($1::text[], $2::timestamptz[], $3::smallint[], $4::text[])
                  as added (customer_id, ts, heart_rate, anomaly)
               on conflict (customer_id) do update
              set ts = excluded.ts, heart_rate = excluded.heart_rate, anomaly = excluded.anomaly
            where excluded.ts > known.ts`,
    values: [
      binaryArray("text", latest.length, (writer, at) => writer.customer(customers, customer[row(at)] ?? 0)),
      binaryArray("timestamptz", latest.length, (writer, at) => {
        writer.timestamptz(seconds[row(at)] ?? 0, micros[row(at)] ?? 0);
      }),
      binaryArray("int2", latest.length, (writer, at) => writer.int16(heartRate[row(at)] ?? 0)),
      binaryArray("text", latest.length, (writer, at) => writer.text(readings.anomaly(row(at)) ?? "")),
    ],
  });
}
