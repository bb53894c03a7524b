/** The rows of the table against those that the records must have become. */
import type { Anomaly } from "../../workers/_shared/record/heartbeat.ts";
import { type Found, type Query, say } from "./query.ts";

/** A row that must be there, or may be. */
export interface ExpectedRow {
  /** Of its record, or of several that repeat each other. */
  readonly id: string;
  readonly partition?: number;
  readonly customerId: string;
  /** Microseconds since the Unix epoch. */
  readonly micros: bigint | number;
  /** Beats per minute. */
  readonly heartRate: number;
  readonly anomaly: Anomaly | null;
}

/** The rows of an interval: no more than these are in memory at a time. */
export interface RowsPart {
  /** Microseconds since the Unix epoch; left out, all of time. */
  readonly between?: { readonly from: number; readonly to: number };
  /** Each of them must be there. */
  readonly due: Iterable<ExpectedRow>;
  /** The one that may be there, due or not. */
  readonly at: (customerId: string, micros: string) => ExpectedRow | undefined;
}

/** Sets of ids and values: each row is traced back to its record, and each record that is due must have been met. */
export async function judgeRows(query: Query, { between, due, at }: RowsPart): Promise<Found> {
  const rows = await query<
    { customer_id: string; micros: string; heart_rate: number; anomaly: string | null }
  >(
    `select customer_id, (extract(epoch from ts) * 1000000)::bigint as micros, heart_rate, anomaly
       from public.heartbeats
      where ts >= $1::timestamptz and ts < $2::timestamptz`,
    between === undefined ? ["-infinity", "infinity"] : [instant(between.from), instant(between.to)],
  );
  /** By customer and instant: two topics of one name each have a record of the same id. */
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
      ...say("lost, no row for record", lost),
      ...say("stored twice: record", twice),
      ...say("stored with other values: record", altered),
      ...say("stored, but never sent as a reading:", unknown),
    ],
  };
}

/** @param micros since the Unix epoch, whole milliseconds */
export function instant(micros: number): string {
  return new Date(micros / 1000).toISOString();
}

function describe(heartRate: number, anomaly: string | null): string {
  return anomaly === null ? `${heartRate}` : `${heartRate} ${anomaly}`;
}
