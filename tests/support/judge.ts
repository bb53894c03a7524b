/**
 * THE judge: each record that the broker acknowledged ended in exactly one place, and the ledger says so too.
 * Sets of ids are compared, not counts, so that a failure names what is missing.
 */
import { AssertionError } from "node:assert";
import { Buffer } from "node:buffer";
import { judgeLatest, judgeMinutes } from "../../chaos/judge_derived.ts";
import { type Query, say } from "../../chaos/query.ts";
import { parseInstant } from "../../workers/_shared/record/instant.ts";
import type { Place } from "./place.ts";
import type { Outgoing, Sent } from "./produce.ts";

/** What becomes of a record: a reading (stored, or a duplicate of one that is), or a reject with this reason. */
export interface Intended extends Outgoing {
  readonly fate: "reading" | { readonly reject: string };
  /** The row of a reading; left out, it is what JSON.parse makes of the value. */
  readonly row?: Row;
}

interface Row {
  readonly customerId: string;
  /** Microseconds since the Unix epoch. */
  readonly ts: bigint;
  /** Beats per minute. */
  readonly heartRate: number;
}

export interface JudgeOptions {
  /** Records may be in the log more often than acknowledged: the broker went away in the middle of a request. */
  readonly resent?: boolean;
}

/** A record that becomes a row, or repeats one. */
export interface IntendedReading extends Intended {
  readonly value: { readonly customer_id: string; readonly timestamp: string; readonly heart_rate: number };
}

/** A record that becomes a row, or repeats one. */
export function reading(
  customer_id: string,
  timestamp: string,
  heart_rate: number,
  to: { key?: string | null; partition?: number } = {},
): IntendedReading {
  return { value: { customer_id, timestamp, heart_rate }, fate: "reading", ...to };
}

/** A record that becomes a reject. */
export function bad(
  reason: string,
  value: Outgoing["value"],
  to: { key?: string | Uint8Array | null; partition?: number } = {},
): Intended {
  return { value, fate: { reject: reason }, ...to };
}

/**
 * Call it when the ledger has caught up.
 *
 * @param sent every record that was acknowledged on this place's topic
 * @throws AssertionError that lists each violation with ids
 */
export async function judge(
  place: Place,
  sent: readonly Sent<Intended>[],
  options: JudgeOptions = {},
): Promise<void> {
  const query: Query = (sql, values) => place.sql(sql, values);
  const problems = [
    ...await judgeRows(place, sent),
    ...await judgeRejects(place, sent, options),
    ...await judgeLedger(place, sent, options),
    ...await judgeMinutes(query),
    ...await judgeLatest(query),
  ];
  if (problems.length > 0) throw new AssertionError({ message: problems.join("\n") });
}

function rowOf({ value, record: { row } }: Sent<Intended>): { key: string; heartRate: number } {
  if (row !== undefined) return { key: `${row.customerId} @ ${row.ts}`, heartRate: row.heartRate };
  const { customer_id, timestamp, heart_rate } = JSON.parse(value?.toString() ?? "");
  return { key: `${customer_id} @ ${parseInstant(timestamp)}`, heartRate: heart_rate };
}

function readingsOf(sent: readonly Sent<Intended>[]): Sent<Intended>[] {
  return sent.filter(({ record }) => record.fate === "reading");
}

async function judgeRows(place: Place, sent: readonly Sent<Intended>[]): Promise<string[]> {
  const wanted = new Map<string, { ids: string[]; heartRate: number }>();
  for (const one of readingsOf(sent)) {
    const { key, heartRate } = rowOf(one);
    const known = wanted.get(key);
    if (known === undefined) wanted.set(key, { ids: [one.id], heartRate });
    else known.ids.push(one.id);
  }
  const rows = await place.sql<{ customer_id: string; micros: string; heart_rate: number }>(
    `select customer_id, (extract(epoch from ts) * 1000000)::bigint as micros, heart_rate from public.heartbeats`,
  );
  const stored = new Map<string, number>();
  const twice: string[] = [];
  for (const { customer_id, micros, heart_rate } of rows) {
    const key = `${customer_id} @ ${micros}`;
    if (stored.has(key)) twice.push(key);
    stored.set(key, heart_rate);
  }
  const missing = [...wanted].filter(([key]) => !stored.has(key)).flatMap(([, { ids }]) => ids);
  const wrong = [...wanted].filter(([key, { heartRate }]) =>
    stored.has(key) && stored.get(key) !== heartRate
  );
  return [
    ...say("lost: no row for", missing),
    ...say("stored with another heart rate:", wrong.flatMap(([, { ids }]) => ids)),
    ...say("stored twice:", twice),
    ...say("stored, but never produced as a reading:", [...stored.keys()].filter((key) => !wanted.has(key))),
  ];
}

async function judgeRejects(
  place: Place,
  sent: readonly Sent<Intended>[],
  { resent = false }: JudgeOptions,
): Promise<string[]> {
  const rejects = await place.sql<
    { id: string; reason: string; key: Buffer | null; payload: Buffer | null; emptied: boolean }
  >(
    `select kafka_partition || ':' || kafka_offset as id, reason, key, payload, emptied_at is not null as emptied
       from public.heartbeat_rejects`,
  );
  const found = new Map(rejects.map((row) => [row.id, row]));
  const wanted = new Map<string, Sent<Intended>>();
  for (const one of sent) if (one.record.fate !== "reading") wanted.set(one.id, one);
  const differs: string[] = [];
  for (const [id, { key, value, record }] of wanted) {
    const row = found.get(id);
    if (row === undefined) continue;
    const reason = record.fate === "reading" ? "" : record.fate.reject;
    if (row.reason !== reason) differs.push(`${id} (reason ${row.reason}, expected ${reason})`);
    // A constraint of the table sees to it that nothing is left in it.
    if (row.emptied) continue;
    if (!same(row.payload, value)) {
      differs.push(`${id} (payload ${hex(row.payload)}, expected ${hex(value)})`);
    }
    if (!same(row.key, key)) differs.push(`${id} (key ${hex(row.key)}, expected ${hex(key)})`);
  }
  const payloads = new Set([...wanted.values()].map(({ value }) => hex(value)));
  const extra = rejects.filter(({ id, payload }) =>
    !wanted.has(id) && !(resent && payloads.has(hex(payload)))
  );
  return [
    ...say("lost: no reject for", [...wanted.keys()].filter((id) => !found.has(id))),
    ...say("rejected otherwise than intended:", differs),
    ...say("rejected, but not intended to be:", extra.map(({ id, reason }) => `${id} (${reason})`)),
  ];
}

async function judgeLedger(
  place: Place,
  sent: readonly Sent<Intended>[],
  { resent = false }: JudgeOptions,
): Promise<string[]> {
  const rows = await place.sql<Record<string, string>>(
    `select o.kafka_partition || '/' || o.generation as log,
            o.next_offset - o.first_offset as span, o.stored, o.duplicates, o.rejected, o.gaps,
            (select count(*) from public.heartbeat_rejects r where r.ledger_id = o.id) as reject_rows,
            (select coalesce(sum(to_offset - from_offset), 0) from public.ingest_gaps g where g.ledger_id = o.id)
              as gap_offsets
       from public.ingest_offsets o`,
  );
  const problems: string[] = [];
  const sums = { stored: 0, duplicates: 0 };
  for (const row of rows) {
    const n = (name: string) => Number(row[name]);
    sums.stored += n("stored");
    sums.duplicates += n("duplicates");
    if (n("span") !== n("stored") + n("duplicates") + n("rejected") + n("gaps")) {
      problems.push(`ledger ${row.log} does not add up: ${JSON.stringify(row)}`);
    }
    if (n("rejected") !== n("reject_rows")) {
      problems.push(`ledger ${row.log} counts other rejects than there are`);
    }
    if (n("gaps") !== n("gap_offsets")) problems.push(`ledger ${row.log} counts other gaps than there are`);
  }
  const [{ count } = { count: "0" }] = await place.sql<{ count: string }>(
    "select count(*) from public.heartbeats",
  );
  if (sums.stored !== Number(count)) {
    problems.push(`the ledger counts ${sums.stored} stored rows, the table has ${count}`);
  }
  const readings = readingsOf(sent);
  const duplicates = readings.length - new Set(readings.map((one) => rowOf(one).key)).size;
  if (resent ? sums.duplicates < duplicates : sums.duplicates !== duplicates) {
    problems.push(`the ledger counts ${sums.duplicates} duplicates, expected ${duplicates}`);
  }
  return problems;
}

function same(a: Buffer | null, b: Buffer | null): boolean {
  return a === null || b === null ? a === b : Buffer.compare(a, b) === 0;
}

function hex(bytes: Buffer | null): string {
  return bytes === null ? "null" : `0x${bytes.subarray(0, 64).toString("hex")}`;
}
