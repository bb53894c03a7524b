/** Decodes the records of a batch into rejects and ordered readings. */
import { anomalyOf, type Limits } from "../../_shared/record/heartbeat.ts";
import { createDecoder } from "../../_shared/record/decode.ts";
import type { Instant } from "../day_partitions/floor.ts";
import { Readings } from "./readings.ts";
import type { Records } from "../../_shared/kafka/records.ts";
import type { Plan, Reject } from "./batch.ts";
import { decodeFastPath, FastPathRecord } from "../../_shared/record/fast_path.ts";

export type PlanBatch = ReturnType<typeof createPlanner>;

const DAY_SECONDS = 86_400;

/** @param secondClock a reading is rejected for its time only if its time is wrong by `now` and by this clock */
export function createPlanner(
  limits: Limits,
  now: () => number,
  secondClock: () => number = now,
  floor: () => Instant = () => undefined,
) {
  const decode = createDecoder(limits, now, secondClock, floor);
  const fastPath = new FastPathRecord();
  return (records: Records): Plan => {
    const readings = new Readings(records.length);
    const rejects: Reject[] = [];
    // The fast path accepts only times at least a second inside the limits. decode() compares microseconds and asks both clocks.
    const latest = Math.floor(now() / 1000) + limits.maxClockSkewSeconds - 1;
    const oldestKept = limits.retentionDays === undefined
      ? -Infinity
      : Math.ceil(now() / 1000) - limits.retentionDays * DAY_SECONDS + 1;
    const floorNow = floor();
    const floorSeconds = floorNow === undefined ? -Infinity : Math.ceil(Number(floorNow) / 1e6);
    const earliest = Math.max(oldestKept, floorSeconds);
    let index = -1;
    for (const { table, from, to } of records.ranges) {
      for (let row = from; row < to; row++) {
        index++;
        const at = table.valueStart[row] ?? 0;
        const isFastPath = decodeFastPath(table.bytes, at, at + (table.valueLength[row] ?? 0), fastPath);
        const { seconds, micros, heartRate, customerFrom, customerEnd } = fastPath;
        const isInRange = heartRate >= limits.minBpm && heartRate <= limits.maxBpm;
        if (isFastPath && isInRange && seconds < latest && seconds > earliest) {
          const customer = readings.customers.number(table.bytes, customerFrom, customerEnd);
          readings.add(customer, seconds, micros, heartRate, anomalyOf(heartRate, limits), index);
          continue;
        }
        const decoded = decode(table.value(row));
        if (decoded.kind === "reading") readings.addReading(decoded.reading, index);
        else rejects.push({ record: table.record(row), reason: decoded.reason, detail: decoded.detail });
      }
    }
    const rows = readings.ordered();
    const usedFloor = rejects.some(({ reason }) => reason === "too_old") ? floorNow : undefined;
    return { records, readings, rows, keys: keysOf(readings, rows), rejects, floor: usedFloor };
  };
}

function keysOf(readings: Readings, rows: Int32Array): Int32Array {
  const keys = new Int32Array(rows.length + 1);
  let count = 0;
  for (let at = 0; at < rows.length; at++) {
    if (at === 0 || !readings.isSameKey(rows[at - 1] ?? 0, rows[at] ?? 0)) keys[count++] = at;
  }
  keys[count++] = rows.length;
  return keys.subarray(0, count);
}
