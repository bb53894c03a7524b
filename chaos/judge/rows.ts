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

/** Rows of an interval of time. One part at a time is in memory. */
export interface RowsPart {
  /** Microseconds since the Unix epoch; default: all rows. */
  readonly between?: { readonly from: number; readonly to: number };
  /** Rows that must exist. */
  readonly due: Iterable<ExpectedRow>;
  /** The row that may exist at this key, due or not. */
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
  // Not by id: two incarnations of a topic have records with the same id.
  const met = new Set<string>();
  const unknown: string[] = [];
  const twice: string[] = [];
  const altered: string[] = [];
  for (const { customer_id, micros, heart_rate, anomaly } of rows) {
    const wanted = at(customer_id, micros);
    const place = `${customer_id} @ ${micros}`;
    const found = `${place}, ${describe(heart_rate, anomaly)}`;
    if (wanted === undefined) unknown.push(found);
    else if (met.has(place)) twice.push(wanted.id);
    else {
      met.add(place);
      if (wanted.heartRate !== heart_rate || wanted.anomaly !== anomaly) {
        altered.push(`${wanted.id} (${found}, expected ${describe(wanted.heartRate, wanted.anomaly)})`);
      }
    }
  }
  const lost: string[] = [];
  for (const { id, customerId, micros, partition } of due) {
    const place = `${customerId} @ ${micros}`;
    if (met.has(place)) continue;
    lost.push(`${id} (${place}${partition === undefined ? "" : `, partition ${partition}`})`);
  }
  return {
    rows: rows.length,
    lost: lost.length,
    problems: [
      ...problemAbout("lost, no row for record", lost),
      ...problemAbout("stored twice: record", twice),
      ...problemAbout("stored with other values: record", altered),
      ...problemAbout("stored, but never sent as a reading:", unknown),
    ],
  };
}

/** @param micros since the Unix epoch, a multiple of 1000 @returns ISO 8601 in UTC */
export function instant(micros: number): string {
  return new Date(micros / 1000).toISOString();
}

function describe(heartRate: number, anomaly: string | null): string {
  return anomaly === null ? `${heartRate}` : `${heartRate} ${anomaly}`;
}
