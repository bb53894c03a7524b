/** Compares rows of `public.heartbeats` with the readings that were sent. */
import type { Anomaly } from "../../workers/_shared/record/heartbeat.ts";
import { type Found, problemAbout, type Query } from "./query.ts";

export interface ExpectedRow {
  readonly id: string;
  readonly partition?: number;
  readonly customerId: string;
  /** Microseconds since the Unix epoch. */
  readonly micros: bigint | number;
  /** Beats per minute. */
  readonly heartRate: number;
  readonly anomaly: Anomaly | null;
}

/** The expected rows in an interval of time. Only one part at a time is in memory. */
export interface RowsPart {
  /** The interval, in microseconds since the Unix epoch; default: all rows. */
  readonly between?: { readonly from: number; readonly to: number };
  /** Rows that must exist. */
  readonly due: Iterable<ExpectedRow>;
  /** @returns the only row that may exist with this primary key */
  readonly at: (customerId: string, micros: string) => ExpectedRow | undefined;
}

export async function judgeRows(query: Query, { between, due, at }: RowsPart): Promise<Found> {
  const rows = await query<
    { customer_id: string; micros: string; heart_rate: number; anomaly: string | null }
  >(
    `select customer_id, (extract(epoch from ts) * 1000000)::bigint as micros, heart_rate, anomaly
       from public.heartbeats
      where ts >= $1::timestamptz and ts < $2::timestamptz`,
    between === undefined ? ["-infinity", "infinity"] : [instant(between.from), instant(between.to)],
  );
  // Primary keys, because two incarnations of a topic have records with the same id.
  const met = new Set<string>();
  const unknown: string[] = [];
  const twice: string[] = [];
  const altered: string[] = [];
  for (const { customer_id, micros, heart_rate, anomaly } of rows) {
    const wanted = at(customer_id, micros);
    const key = `${customer_id} @ ${micros}`;
    const found = `${key}, ${describe(heart_rate, anomaly)}`;
    if (wanted === undefined) unknown.push(found);
    else if (met.has(key)) twice.push(wanted.id);
    else {
      met.add(key);
      if (wanted.heartRate !== heart_rate || wanted.anomaly !== anomaly) {
        altered.push(`${wanted.id} (${found}, expected ${describe(wanted.heartRate, wanted.anomaly)})`);
      }
    }
  }
  const lost: string[] = [];
  for (const { id, customerId, micros, partition } of due) {
    const key = `${customerId} @ ${micros}`;
    if (met.has(key)) continue;
    lost.push(`${id} (${key}${partition === undefined ? "" : `, partition ${partition}`})`);
  }
  return {
    rows: rows.length,
    lost: lost.length,
    storedTwice: twice.length,
    problems: [
      ...problemAbout("lost, no row for record", lost),
      ...problemAbout("stored twice: record", twice),
      ...problemAbout("stored with other values: record", altered),
      ...problemAbout("stored, but never sent as a reading:", unknown),
    ],
  };
}

/** @param micros microseconds since the Unix epoch, a multiple of 1000 */
export function instant(micros: number): string {
  return new Date(micros / 1000).toISOString();
}

function describe(heartRate: number, anomaly: string | null): string {
  return anomaly === null ? `${heartRate}` : `${heartRate} ${anomaly}`;
}
