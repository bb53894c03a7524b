/** The rejects against the records that must have become rejects, by their place in the log and to the byte. */
import { Buffer } from "node:buffer";
import { type Found, type Query, say } from "./query.ts";

export interface ExpectedReject {
  /** Of its record, beside its place. */
  readonly id?: string;
  readonly partition: number;
  readonly reason: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

/** The rejects of some offsets: no more than these are in memory at a time. */
export interface RejectsPart {
  /** By partition; left out, all that there are. */
  readonly offsets?: readonly { readonly from: number; readonly to: number }[];
  /** Each of them must be there, by `partition:offset`. */
  readonly due: ReadonlyMap<string, ExpectedReject>;
  /** What may be at a place where none is due: a send that was not acknowledged left its records in the log all the same. */
  readonly again: (row: RejectRow) => ExpectedReject | undefined;
}

export interface RejectRow extends Record<string, unknown> {
  readonly kafka_partition: number;
  readonly kafka_offset: string;
  readonly reason: string;
  readonly key: Buffer | null;
  readonly payload: Buffer | null;
  /** Retention has emptied it; a constraint of the table sees to it that nothing is left in it. */
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
    const place = `${row.kafka_partition}:${row.kafka_offset}`;
    const wanted = due.get(place);
    if (wanted === undefined) {
      const repeated = again(row);
      if (repeated === undefined || differenceOf(row, repeated) !== undefined) {
        extra.push(`${place} (${row.reason})`);
      }
      continue;
    }
    met.add(place);
    const difference = differenceOf(row, wanted);
    const about = wanted.id === undefined ? "" : `record ${wanted.id}: `;
    if (difference !== undefined) differs.push(`${place} (${about}${difference})`);
  }
  const lost = [...due].filter(([place]) => !met.has(place))
    .map(([place, { id }]) => id === undefined ? place : `${id} (${place})`);
  return {
    rows: rows.length,
    lost: lost.length,
    problems: [
      ...say("lost, no reject for record", lost),
      ...say("rejected otherwise than intended:", differs),
      ...say("rejected, but not intended to be:", extra),
    ],
  };
}

/** How a reject is another one than was intended; undefined when it is not. */
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
