/** The change of a batch: for each customer and minute that got readings, their sums and the latest reading. */
import type { Buffer } from "node:buffer";
import type { WrittenBatch } from "./batch.ts";
import { binaryArray } from "./copy.ts";
import { READING_COLUMNS, type Readings } from "./readings.ts";

const MINUTE_SECONDS = 60;
/** The columns of a minute's latest reading, without its customer. */
const LATEST = READING_COLUMNS.slice(1);

interface Minute {
  readonly of: Readings;
  readonly customer: number;
  /** Its first second, since the Unix epoch. */
  readonly seconds: number;
  readings: number;
  sum: number;
  min: number;
  max: number;
  low: number;
  high: number;
  /** The row of its latest reading. */
  last: number;
}

/** @param rows in order of customer and time */
export function minutesOf(readings: Readings, rows: Int32Array): Minute[] {
  const minutes: Minute[] = [];
  let minute: Minute | undefined;
  for (const row of rows) {
    const customer = readings.customer[row] ?? 0;
    const heartRate = readings.heartRate[row] ?? 0;
    const seconds = Math.floor((readings.seconds[row] ?? 0) / MINUTE_SECONDS) * MINUTE_SECONDS;
    if (minute === undefined || minute.customer !== customer || minute.seconds !== seconds) {
      const [of, min, max] = [readings, heartRate, heartRate];
      minute = { of, customer, seconds, readings: 0, sum: 0, min, max, low: 0, high: 0, last: row };
      minutes.push(minute);
    }
    minute.readings++;
    minute.sum += heartRate;
    if (heartRate < minute.min) minute.min = heartRate;
    if (heartRate > minute.max) minute.max = heartRate;
    minute.last = row;
    const anomaly = readings.anomaly(row);
    if (anomaly !== null) minute[anomaly]++;
  }
  return minutes;
}

/** The entries of all batches' changes as arrays, batch after batch. */
export function changeArrays(batches: readonly WrittenBatch[]): {
  /** Where each batch's entries begin and end, as PostgreSQL counts the elements of an array. */
  readonly bounds: readonly [from: readonly number[], to: readonly number[]];
  /** In the order of the table's columns. */
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
    binaryArray("text", entries, (writer, { of, customer }) => writer.customer(of.customers, customer)),
    binaryArray("timestamptz", entries, (writer, { seconds }) => writer.timestamptz(seconds, 0)),
    binaryArray("int4", entries, (writer, { readings }) => writer.int32(readings)),
    binaryArray("int4", entries, (writer, { sum }) => writer.int32(sum)),
    binaryArray("int2", entries, (writer, { min }) => writer.int16(min)),
    binaryArray("int2", entries, (writer, { max }) => writer.int16(max)),
    binaryArray("int4", entries, (writer, { low }) => writer.int32(low)),
    binaryArray("int4", entries, (writer, { high }) => writer.int32(high)),
    ...LATEST.map(({ type, add }) =>
      binaryArray(type, entries, (writer, { of, last }) => add(writer, of, last))
    ),
  ];
  return { bounds: [from, to], arrays };
}
