/** Sums the stored readings of a batch by customer and minute, and writes the sums as the arrays of its change row. */
import type { Buffer } from "node:buffer";
import type { WrittenBatch } from "./batch.ts";
import { binaryArray } from "./copy.ts";
import { READING_COLUMNS, type Readings } from "./readings.ts";

const MINUTE_SECONDS = 60;
/** The columns of a latest reading. The customer id is already in each entry of a change row. */
const LATEST_COLUMNS = READING_COLUMNS.slice(1);

interface Minute {
  readonly source: Readings;
  readonly customer: number;
  /** The start of the minute, in seconds since the Unix epoch. */
  readonly seconds: number;
  readings: number;
  sum: number;
  min: number;
  max: number;
  low: number;
  high: number;
  /** The row of the minute's latest reading. */
  last: number;
}

/** @param rows ordered by customer and time, so that the readings of a minute are neighbours */
export function minutesOf(source: Readings, rows: Int32Array): Minute[] {
  const minutes: Minute[] = [];
  let minute: Minute | undefined;
  for (const row of rows) {
    const customer = source.customer[row] ?? 0;
    const heartRate = source.heartRate[row] ?? 0;
    const seconds = Math.floor((source.seconds[row] ?? 0) / MINUTE_SECONDS) * MINUTE_SECONDS;
    if (minute === undefined || minute.customer !== customer || minute.seconds !== seconds) {
      const [min, max] = [heartRate, heartRate];
      minute = { source, customer, seconds, readings: 0, sum: 0, min, max, low: 0, high: 0, last: row };
      minutes.push(minute);
    }
    minute.readings++;
    minute.sum += heartRate;
    if (heartRate < minute.min) minute.min = heartRate;
    if (heartRate > minute.max) minute.max = heartRate;
    minute.last = row;
    const anomaly = source.anomaly(row);
    if (anomaly !== null) minute[anomaly]++;
  }
  return minutes;
}

export function changeArrays(batches: readonly WrittenBatch[]): {
  /** For each batch, the numbers of its first and last elements in all arrays. PostgreSQL counts elements from 1. */
  readonly bounds: readonly [from: readonly number[], to: readonly number[]];
  readonly arrays: readonly Buffer[];
} {
  const entries: Minute[] = [];
  const [from, to]: [number[], number[]] = [[], []];
  for (const { plan: { readings }, stored } of batches) {
    from.push(entries.length + 1);
    for (const minute of minutesOf(readings, stored)) entries.push(minute);
    to.push(entries.length);
  }
  const arrays = [
    binaryArray("text", entries, (out, { source, customer }) => out.customer(source.customers, customer)),
    binaryArray("timestamptz", entries, (out, { seconds }) => out.timestamptz(seconds, 0)),
    binaryArray("int4", entries, (out, { readings }) => out.int32(readings)),
    binaryArray("int4", entries, (out, { sum }) => out.int32(sum)),
    binaryArray("int2", entries, (out, { min }) => out.int16(min)),
    binaryArray("int2", entries, (out, { max }) => out.int16(max)),
    binaryArray("int4", entries, (out, { low }) => out.int32(low)),
    binaryArray("int4", entries, (out, { high }) => out.int32(high)),
    ...LATEST_COLUMNS.map(({ type, add }) =>
      binaryArray(type, entries, (out, { source, last }) => add(out, source, last))
    ),
  ];
  return { bounds: [from, to], arrays };
}
