/** Compares the rejects with the records that must be rejected: by offset, reason and exact bytes. */
import { Buffer } from "node:buffer";
import { type Found, problemAbout, type Query } from "./query.ts";

export interface ExpectedReject {
  readonly id?: string;
  readonly partition: number;
  readonly reason: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

/** The expected rejects in a range of offsets. Only one part at a time is in memory. */
export interface RejectsPart {
  /** The range, by partition; default: all offsets. */
  readonly offsets?: readonly { readonly from: number; readonly to: number }[];
  /** Rejects that must exist, by `partition:offset`. */
  readonly due: ReadonlyMap<string, ExpectedReject>;
  /** Returns the reject that this row repeats: a send without an acknowledgement is repeated, so its records can be in Kafka twice. */
  readonly again: (row: RejectRow) => ExpectedReject | undefined;
}

export interface RejectRow extends Record<string, unknown> {
  readonly kafka_partition: number;
  readonly kafka_offset: string;
  readonly reason: string;
  readonly key: Buffer | null;
  readonly payload: Buffer | null;
  /** Retention has set key and payload to null, so they are not compared. */
  readonly emptied: boolean;
}

const ALL =
  `select r.kafka_partition, r.kafka_offset, r.reason, r.key, r.payload, r.emptied_at is not null as emptied
               from public.heartbeat_rejects r`;
const WITHIN = `join public.ingest_offsets o on o.id = r.ledger_id
                join unnest($1::bigint[], $2::bigint[]) with ordinality as range (first, after, nth)
                  on range.nth = o.kafka_partition + 1
                 and r.kafka_offset >= range.first and r.kafka_offset < range.after`;

export async function judgeRejects(query: Query, { offsets, due, again }: RejectsPart): Promise<Found> {
  const rows = offsets === undefined ? await query<RejectRow>(ALL) : await query<RejectRow>(
    `${ALL} ${WITHIN}`,
    [offsets.map(({ from }) => from), offsets.map(({ to }) => to)],
  );
  const met = new Set<string>();
  const differs: string[] = [];
  const extra: string[] = [];
  for (const row of rows) {
    const location = `${row.kafka_partition}:${row.kafka_offset}`;
    const wanted = due.get(location);
    if (wanted === undefined) {
      const repeat = again(row);
      if (repeat === undefined || differenceOf(row, repeat) !== undefined) {
        extra.push(`${location} (${row.reason})`);
      }
      continue;
    }
    met.add(location);
    const difference = differenceOf(row, wanted);
    const about = wanted.id === undefined ? "" : `record ${wanted.id}: `;
    if (difference !== undefined) differs.push(`${location} (${about}${difference})`);
  }
  const lost = [...due].filter(([location]) => !met.has(location))
    .map(([location, { id }]) => id === undefined ? location : `${id} (${location})`);
  return {
    rows: rows.length,
    lost: lost.length,
    storedTwice: 0,
    problems: [
      ...problemAbout("lost, no reject for record", lost),
      ...problemAbout("rejected with other values:", differs),
      ...problemAbout("rejected, but not expected to be:", extra),
    ],
  };
}

export function differenceOf(row: RejectRow, wanted: ExpectedReject): string | undefined {
  const { partition, reason, key, value } = wanted;
  if (row.kafka_partition !== partition) return `in partition ${row.kafka_partition}, expected ${partition}`;
  if (row.reason !== reason) return `reason ${row.reason}, expected ${reason}`;
  if (row.emptied) return undefined;
  if (!same(row.payload, value)) return `payload ${hex(row.payload)}, expected ${hex(value)}`;
  return same(row.key, key) ? undefined : `key ${hex(row.key)}, expected ${hex(key)}`;
}

function same(a: Buffer | null, b: Buffer | null): boolean {
  return a === null || b === null ? a === b : Buffer.compare(a, b) === 0;
}

function hex(bytes: Buffer | null): string {
  return bytes === null ? "null" : `0x${bytes.subarray(0, 64).toString("hex")}`;
}
