/** Compares what was found of each record with what its scenario says. Pure. */
import type { Expected, StoredRow } from "./catalogue/scenario.ts";
import { type Evidence, isProcessed, type StoredReject } from "./evidence.ts";
import type { PublishedRecord } from "./publish.ts";

export interface Verdict {
  readonly scenario: string;
  readonly what: string;
  /** partition:offset, or - when Kafka did not take the record. */
  readonly place: string;
  readonly pass: boolean;
  /** Whether no consumer has come that far yet. */
  readonly unread: boolean;
  readonly expected: string;
  /** How it differs, when it does not pass. */
  readonly found: string;
}

/** A verdict for each record, and one more for each row that nobody expects. */
export function judge(published: readonly PublishedRecord[], evidence: Evidence): Verdict[] {
  const rows = new Map(evidence.rows.map((row) => [keyOf(row), row]));
  return [
    ...published.map((one) => judgeRecord(one, rows, evidence)),
    ...strayRows(published, evidence.rows),
  ];
}

function judgeRecord(
  one: PublishedRecord,
  rows: ReadonlyMap<string, StoredRow>,
  evidence: Evidence,
): Verdict {
  const { record: { scenario, what, expected }, partition, offset } = one;
  const found = differenceOf(one, rows, evidence) ?? "";
  return {
    scenario,
    what,
    place: offset === undefined ? "-" : `${partition}:${offset}`,
    pass: found === "",
    unread: offset !== undefined && !isProcessed(evidence.next, partition, offset),
    expected: describeExpected(expected),
    found,
  };
}

/** Undefined when it ended as expected. */
function differenceOf(
  { record, partition, offset, refusal }: PublishedRecord,
  rows: ReadonlyMap<string, StoredRow>,
  { next, rejects }: Evidence,
): string | undefined {
  const { expected } = record;
  if (offset === undefined) return `not taken by Kafka: ${refusal}`;
  if (!isProcessed(next, partition, offset)) {
    const at = next.get(partition);
    return at === undefined ? "not read: no ledger row" : `not read: the ledger stands at ${at}`;
  }
  const reject = rejects.get(`${partition}:${offset}`);
  if (expected.kind === "rejected") {
    return reject === undefined ? "no reject" : compareReject(record, expected.reason, reject);
  }
  if (reject !== undefined) return `rejected: ${reject.reason}`;
  const row = rows.get(keyOf(expected.row));
  if (row === undefined) return "no row";
  const same = row.heartRate === expected.row.heartRate && row.anomaly === expected.row.anomaly;
  return same ? undefined : `row ${describeRow(row)}`;
}

function compareReject(
  { key, value }: PublishedRecord["record"],
  reason: string,
  reject: StoredReject,
): string | undefined {
  if (reject.reason !== reason) return `rejected: ${reject.reason}`;
  if (reject.emptied) return undefined;
  if (!sameBytes(reject.payload, value)) {
    return `rejected, but its payload is ${size(reject.payload)}, not ${size(value)} as sent`;
  }
  if (!sameBytes(reject.key, key)) {
    return `rejected, but its key is ${size(reject.key)}, not ${size(key)} as sent`;
  }
  const field = fieldOf(reason);
  return reject.detail.includes(field) ? undefined : `rejected, but its detail does not say ${field}`;
}

/** Which word the detail of a reason must contain: the field it is about, or that it is about the value as a whole. */
function fieldOf(reason: string): string {
  if (reason === "conflicting_duplicate") return "heart_rate";
  return ["customer_id", "timestamp", "heart_rate"].find((field) => reason.includes(field)) ?? "value";
}

/** Rows of this run's own customers that no record of it explains: a rejected reading that was stored all the same. */
function strayRows(published: readonly PublishedRecord[], rows: readonly StoredRow[]): Verdict[] {
  const owners = new Map(published.map(({ record }) => [record.customer, record]));
  const explained = new Set(
    published.map(({ record: { expected } }) => expected.kind === "rejected" ? "" : keyOf(expected.row)),
  );
  return rows.flatMap((row) => {
    const owner = owners.get(row.customerId);
    if (owner === undefined || explained.has(keyOf(row))) return [];
    const { scenario, what } = owner;
    const about = { scenario, what, place: "-", expected: "no other row", found: `row ${describeRow(row)}` };
    return [{ ...about, pass: false, unread: false }];
  });
}

function keyOf({ customerId, ts }: StoredRow): string {
  return `${ts} ${customerId}`;
}

function describeExpected(expected: Expected): string {
  if (expected.kind === "rejected") return `rejected: ${expected.reason}`;
  return `${expected.kind === "stored" ? "row" : "duplicate of"} ${describeRow(expected.row)}`;
}

function describeRow({ heartRate, anomaly, ts }: StoredRow): string {
  return `${heartRate}${anomaly === null ? "" : ` ${anomaly}`} at ${ts}`;
}

function sameBytes(a: Uint8Array | null, b: Uint8Array | null): boolean {
  if (a === null || b === null) return a === b;
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function size(bytes: Uint8Array | null): string {
  return bytes === null ? "null" : `${bytes.length} bytes`;
}
