/** What is derived from the stored readings, kept in their transaction: minutes, and each customer's latest reading. */
import type { Buffer } from "node:buffer";
import { binaryArray, type BinaryWriter, type ElementType } from "./copy.ts";
import { readingColumns, type Readings } from "./readings.ts";

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

/** Part of a statement: the steps of its WITH clause, the name of the last of them, and their parameters. */
export interface RollUp {
  readonly steps: string;
  readonly last: string;
  readonly values: readonly Buffer[];
}

/**
 * @param rows what was stored, in order of customer and time; at least one
 * @param from number of the first of its parameters
 * @param after a step before it: without a row of that, nothing is added
 */
export function rollUp(readings: Readings, rows: Int32Array, from: number, after?: string): RollUp {
  const $ = (index: number) => `$${from + index}`;
  return {
    steps: `minutes as (
             insert into public.heartbeats_1m as known
                    (customer_id, minute, readings, heart_rate_sum, heart_rate_min, heart_rate_max, low, high)
             select *
               from unnest(${$(0)}::text[], ${$(1)}::timestamptz[], ${$(2)}::int[], ${$(3)}::bigint[],
                           ${$(4)}::smallint[], ${$(5)}::smallint[], ${$(6)}::int[], ${$(7)}::int[])${
      after === undefined ? "" : ` where (select count(*) from ${after}) > 0`
    }
                 on conflict (customer_id, minute) do update
                set readings = known.readings + excluded.readings,
                    heart_rate_sum = known.heart_rate_sum + excluded.heart_rate_sum,
                    heart_rate_min = least(known.heart_rate_min, excluded.heart_rate_min),
                    heart_rate_max = greatest(known.heart_rate_max, excluded.heart_rate_max),
                    low = known.low + excluded.low,
                    high = known.high + excluded.high
          returning 1
           ), latest as (
             insert into public.customer_latest as known (customer_id, ts, heart_rate, anomaly)
             select customer_id, ts, heart_rate, nullif(anomaly, '')
               from unnest(${$(8)}::text[], ${$(9)}::timestamptz[], ${$(10)}::smallint[], ${$(11)}::text[])
                    as added (customer_id, ts, heart_rate, anomaly)
              where (select count(*) from minutes) > 0
                 on conflict (customer_id) do update
                set ts = excluded.ts, heart_rate = excluded.heart_rate, anomaly = excluded.anomaly
              where excluded.ts > known.ts
          returning 1
           )`,
    last: "latest",
    values: [
      ...minuteColumns(readings, minutesOf(readings, rows)),
      ...readingColumns(readings, latestOf(readings, rows)),
    ],
  };
}

function minuteColumns({ customers }: Readings, minutes: readonly Minute[]): Buffer[] {
  const column = (type: ElementType, add: (writer: BinaryWriter, minute: Minute) => void) =>
    binaryArray(type, minutes.length, (writer, index) => {
      const minute = minutes[index];
      if (minute !== undefined) add(writer, minute);
    });
  return [
    column("text", (writer, { customer }) => writer.customer(customers, customer)),
    column("timestamptz", (writer, { seconds }) => writer.timestamptz(seconds, 0)),
    column("int4", (writer, { readings }) => writer.int32(readings)),
    column("int8", (writer, { sum }) => writer.int64(sum)),
    column("int2", (writer, { min }) => writer.int16(min)),
    column("int2", (writer, { max }) => writer.int16(max)),
    column("int4", (writer, { low }) => writer.int32(low)),
    column("int4", (writer, { high }) => writer.int32(high)),
  ];
}
