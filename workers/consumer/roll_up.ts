/** What is derived from the stored readings, kept in their transaction: minutes, and each customer's latest reading. */
import type { Reading } from "../_shared/heartbeat.ts";
import type { Session } from "../_shared/postgres.ts";

const MINUTE_MICROS = 60_000_000n;

/** What the readings of one customer and minute add up to. */
export interface Minute {
  readonly customerId: string;
  /** Its first second, since the Unix epoch. */
  readonly epochSeconds: number;
  readings: number;
  sum: number;
  min: number;
  max: number;
  low: number;
  high: number;
}

/** Adds up readings by customer and minute, in the order in which every writer locks the rows. */
export function minutesOf(readings: readonly Reading[]): Minute[] {
  const minutes = new Map<string, Minute>();
  for (const { customerId, ts, heartRate, anomaly } of readings) {
    const minute = floorDivide(ts, MINUTE_MICROS);
    const key = `${minute} ${customerId}`;
    let sums = minutes.get(key);
    if (sums === undefined) {
      const epochSeconds = Number(minute) * 60;
      sums = {
        customerId,
        epochSeconds,
        readings: 0,
        sum: 0,
        min: heartRate,
        max: heartRate,
        low: 0,
        high: 0,
      };
      minutes.set(key, sums);
    }
    sums.readings++;
    sums.sum += heartRate;
    sums.min = Math.min(sums.min, heartRate);
    sums.max = Math.max(sums.max, heartRate);
    if (anomaly !== null) sums[anomaly]++;
  }
  return [...minutes.values()].sort((a, b) => {
    if (a.customerId !== b.customerId) return a.customerId < b.customerId ? -1 : 1;
    return a.epochSeconds - b.epochSeconds;
  });
}

/** The reading with the latest instant of each customer, in the order in which every writer locks the rows. */
export function latestOf(readings: readonly Reading[]): Reading[] {
  const latest = new Map<string, Reading>();
  for (const reading of readings) {
    const known = latest.get(reading.customerId);
    if (known === undefined || reading.ts > known.ts) latest.set(reading.customerId, reading);
  }
  return [...latest.values()].sort((a, b) => a.customerId < b.customerId ? -1 : 1);
}

/** BigInt division cuts towards zero; a minute before 1970 begins at or before its readings all the same. */
function floorDivide(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor;
  return value < 0n && quotient * divisor !== value ? quotient - 1n : quotient;
}

export async function rollUp(session: Session, stored: readonly Reading[]): Promise<void> {
  if (stored.length === 0) return;
  const minutes = minutesOf(stored);
  await session.query({
    name: "roll_up_minutes",
    text: `insert into public.heartbeats_1m as known
                  (customer_id, minute, readings, heart_rate_sum, heart_rate_min, heart_rate_max, low, high)
           select customer_id, to_timestamp(epoch_seconds), readings, sum, min, max, low, high
             from unnest($1::text[], $2::float8[], $3::int[], $4::bigint[], $5::smallint[], $6::smallint[], $7::int[],
                         $8::int[])
                  as added (customer_id, epoch_seconds, readings, sum, min, max, low, high)
               on conflict (customer_id, minute) do update
              set readings = known.readings + excluded.readings,
                  heart_rate_sum = known.heart_rate_sum + excluded.heart_rate_sum,
                  heart_rate_min = least(known.heart_rate_min, excluded.heart_rate_min),
                  heart_rate_max = greatest(known.heart_rate_max, excluded.heart_rate_max),
                  low = known.low + excluded.low,
                  high = known.high + excluded.high`,
    values: [
      minutes.map(({ customerId }) => customerId),
      minutes.map(({ epochSeconds }) => epochSeconds),
      minutes.map(({ readings }) => readings),
      minutes.map(({ sum }) => sum),
      minutes.map(({ min }) => min),
      minutes.map(({ max }) => max),
      minutes.map(({ low }) => low),
      minutes.map(({ high }) => high),
    ],
  });
  const latest = latestOf(stored);
  await session.query({
    name: "roll_up_latest",
    // Microseconds in two parts, since a double holds them exactly for our century only.
    text: `insert into public.customer_latest as known (customer_id, ts, heart_rate, anomaly)
           select customer_id, to_timestamp(epoch_seconds) + micros * interval '1 microsecond', heart_rate, anomaly
             from unnest($1::text[], $2::float8[], $3::int[], $4::smallint[], $5::text[])
                  as added (customer_id, epoch_seconds, micros, heart_rate, anomaly)
               on conflict (customer_id) do update
              set ts = excluded.ts, heart_rate = excluded.heart_rate, anomaly = excluded.anomaly
            where excluded.ts > known.ts`,
    values: [
      latest.map(({ customerId }) => customerId),
      latest.map(({ ts }) => Number(floorDivide(ts, 1_000_000n))),
      latest.map(({ ts }) => Number(((ts % 1_000_000n) + 1_000_000n) % 1_000_000n)),
      latest.map(({ heartRate }) => heartRate),
      latest.map(({ anomaly }) => anomaly),
    ],
  });
}
