/** The rows of an interval of measured time against the records that must have become rows there. */
import { kindOf, LATE_SECONDS, READINGS_PER_SECOND, Records } from "./records.ts";
import { type Query, say } from "./query.ts";

/** Seconds of measured time [from, to), counted from that of the first record. */
export interface Window {
  readonly from: number;
  readonly to: number;
}

export interface Extent {
  /** Records with an index below it must be stored. */
  readonly settled: number;
  /** Records with an index below it may be. */
  readonly attempted: number;
}

export interface RowsJudged {
  readonly problems: string[];
  readonly rows: number;
  readonly lost: number;
}

/** Late readings lie before the first one that is not. */
export const FIRST_WINDOW_FROM = -LATE_SECONDS;

/** The second in which the last of so many records lies, excluded. */
export function secondsOf(records: number): number {
  return Math.ceil(records / READINGS_PER_SECOND);
}

/** Sets of ids and values: each row is traced back to its record, and each record that is due must have been met. */
export async function judgeRows(
  query: Query,
  records: Records,
  window: Window,
  { settled, attempted }: Extent,
): Promise<RowsJudged> {
  const rows = await query<
    { customer_id: string; micros: string; heart_rate: number; anomaly: string | null }
  >(
    `select customer_id, (extract(epoch from ts) * 1000000)::bigint as micros, heart_rate, anomaly
       from public.heartbeats
      where ts >= $1::timestamptz and ts < $2::timestamptz`,
    [window.from, window.to].map((second) => new Date(Records.microsOfSecond(second) / 1000).toISOString()),
  );
  const met = new Set<number>();
  const unknown: string[] = [];
  const twice: string[] = [];
  const altered: string[] = [];
  for (const { customer_id, micros, heart_rate, anomaly } of rows) {
    const index = Records.indexOf(Number(micros));
    const wanted = index === undefined ? undefined : records.readingOf(index);
    const found = `${customer_id} @ ${micros}, ${heart_rate} ${anomaly ?? ""}`.trimEnd();
    if (index === undefined || index >= attempted || wanted?.customerId !== customer_id) unknown.push(found);
    else if (met.has(index)) twice.push(`#${index}`);
    else {
      met.add(index);
      if (wanted.heartRate !== heart_rate || wanted.anomaly !== anomaly) {
        const expected = `${wanted.heartRate} ${wanted.anomaly ?? ""}`.trimEnd();
        altered.push(`#${index} (${found}, expected ${expected})`);
      }
    }
  }
  const lost: string[] = [];
  for (const index of due(window, settled)) {
    if (met.has(index)) continue;
    const { customerId, micros } = records.readingOf(index);
    lost.push(`#${index} (${customerId} @ ${micros}, partition ${records.partitionOf(index)})`);
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

/** Indexes of the records whose rows lie in the window. */
function* due({ from, to }: Window, settled: number): Generator<number> {
  for (const [late, seconds] of [[false, 0], [true, LATE_SECONDS]] as const) {
    const first = Math.max(0, (from + seconds) * READINGS_PER_SECOND);
    const last = Math.min(settled, (to + seconds) * READINGS_PER_SECOND);
    for (let index = first; index < last; index++) {
      if (kindOf(index) === (late ? "late" : "good")) yield index;
    }
  }
}
