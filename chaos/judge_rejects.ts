/** The rejects against the records that must have become rejects, by their place in the log and to the byte. */
import { Buffer } from "node:buffer";
import { type ChaosRecord, kindOf, Records } from "./records.ts";
import { type Query, say } from "./query.ts";
import type { Sends } from "./sends.ts";

export interface RejectsJudged {
  readonly problems: string[];
  readonly rows: number;
  readonly lost: number;
}

interface RejectRow extends Record<string, unknown> {
  readonly kafka_partition: number;
  readonly kafka_offset: string;
  readonly reason: string;
  readonly key: Buffer | null;
  readonly payload: Buffer | null;
  /** Since then its bytes are gone. */
  readonly emptied_at: Date | null;
}

/**
 * @param places of the sends [from, to); what lies in the log between them and the ones before is looked at as well
 * @param upTo offsets by partition where to stop looking; undefined: nowhere
 */
export async function judgeRejects(
  query: Query,
  records: Records,
  { sends, topic, attempted }: { sends: Sends; topic: string; attempted: number },
  places: { readonly from: number; readonly to: number; readonly last: boolean },
): Promise<RejectsJudged> {
  const expected = new Map<string, ChaosRecord>();
  const starts = endsBefore(sends, places.from);
  const ends = places.last ? starts.map(() => Number.MAX_SAFE_INTEGER) : endsBefore(sends, places.to);
  const acknowledged = new Acknowledged(sends.partitions);
  for (let place = places.from; place < places.to; place++) {
    const { from, count, bases, counts } = sends.at(place);
    bases.forEach((base, partition) => acknowledged.add(partition, base, counts[partition] ?? 0));
    const offsets = [...bases];
    for (let position = from; position < from + count; position++) {
      const index = Records.at(position);
      const partition = records.partitionOf(index);
      const offset = offsets[partition] ?? 0;
      offsets[partition] = offset + 1;
      if (isReject(index)) expected.set(`${partition}:${offset}`, records.record(index));
    }
  }
  const rows = await query<RejectRow>(
    `select r.kafka_partition, r.kafka_offset, r.reason, r.key, r.payload, r.emptied_at
       from unnest($1::int[], $2::bigint[], $3::bigint[]) as range (kafka_partition, first, after)
       join public.ingest_offsets o on o.kafka_partition = range.kafka_partition and o.topic = $4
       join public.heartbeat_rejects r
         on r.ledger_id = o.id and r.kafka_offset >= range.first and r.kafka_offset < range.after`,
    [starts.map((_, partition) => partition), starts, ends, topic],
  );
  const differs: string[] = [];
  const extra: string[] = [];
  for (const row of rows) {
    const id = `${row.kafka_partition}:${row.kafka_offset}`;
    const wanted = expected.get(id);
    expected.delete(id);
    if (wanted !== undefined) {
      const difference = differenceOf(row, wanted);
      if (difference !== undefined) differs.push(`${id} (record #${wanted.index}: ${difference})`);
      continue;
    }
    // A send that was not acknowledged left its records in the log all the same, once more.
    const again = acknowledged.has(row.kafka_partition, Number(row.kafka_offset))
      ? undefined
      : recordOfKey(row.key, records, attempted);
    if (again === undefined || differenceOf(row, again) !== undefined) extra.push(`${id} (${row.reason})`);
  }
  const lost = [...expected].map(([id, { index }]) => `#${index} (${id})`);
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

function isReject(index: number): boolean {
  const kind = kindOf(index);
  return kind === "bad" || kind === "conflict";
}

function recordOfKey(key: Buffer | null, records: Records, attempted: number): ChaosRecord | undefined {
  const index = Number(/^bad-(\d+)$/.exec(key?.toString() ?? "")?.[1] ?? NaN);
  return index < attempted && isReject(index) ? records.record(index) : undefined;
}

function differenceOf(row: RejectRow, { partition, fate, key, value }: ChaosRecord): string | undefined {
  const reason = "reject" in fate ? fate.reject : "a row";
  if (row.kafka_partition !== partition) return `in partition ${row.kafka_partition}, expected ${partition}`;
  if (row.reason !== reason) return `reason ${row.reason}, expected ${reason}`;
  if (row.emptied_at !== null) return undefined;
  if (!same(row.payload, value)) return `payload ${hex(row.payload)}, expected ${hex(value)}`;
  return same(row.key, key) ? undefined : `key ${hex(row.key)}, expected ${hex(key)}`;
}

/** Where each partition's log stands after the sends before this one. */
function endsBefore(sends: Sends, place: number): number[] {
  const ends = new Array<number>(sends.partitions).fill(0);
  const missing = new Set(ends.keys());
  for (let before = place - 1; before >= 0 && missing.size > 0; before--) {
    const { bases, counts } = sends.at(before);
    for (const partition of [...missing]) {
      const base = bases[partition];
      if (base === undefined) continue;
      ends[partition] = base + (counts[partition] ?? 0);
      missing.delete(partition);
    }
  }
  return ends;
}

/** Ranges of offsets that were acknowledged. */
class Acknowledged {
  readonly #ranges: { from: number; to: number }[][];

  constructor(partitions: number) {
    this.#ranges = Array.from({ length: partitions }, () => []);
  }

  add(partition: number, base: number | undefined, count: number): void {
    if (base !== undefined) this.#ranges[partition]?.push({ from: base, to: base + count });
  }

  has(partition: number, offset: number): boolean {
    return this.#ranges[partition]?.some(({ from, to }) => offset >= from && offset < to) ?? false;
  }
}

function same(a: Buffer | null, b: Buffer | null): boolean {
  return a === null || b === null ? a === b : Buffer.compare(a, b) === 0;
}

function hex(bytes: Buffer | null): string {
  return bytes === null ? "null" : `0x${bytes.subarray(0, 64).toString("hex")}`;
}
