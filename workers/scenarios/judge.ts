/** Compares what was found of each record with what its scenario says. Pure. */
import { isRead } from "./arrival.ts";
import { type Evidence, type FoundReject, placeOf } from "./evidence.ts";
import type { PublishedRecord } from "./publish.ts";
import type { StoredRow } from "./scenario.ts";

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
  { record, partition, offset, refusal }: PublishedRecord,
  rows: ReadonlyMap<string, StoredRow>,
  evidence: Evidence,
): Verdict {
  const { scenario, what, expected } = record;
  const place = offset === undefined ? "-" : placeOf(partition, offset);
  const about = { scenario, what, place, expected: describeExpected(record) };
  const failed = (found: string, unread = false) => ({ ...about, pass: false, unread, found });

  if (offset === undefined) return failed(`not taken by Kafka: ${refusal}`);
  if (!isRead(evidence.next, partition, offset)) {
    const next = evidence.next.get(partition);
    return failed(
      next === undefined ? "not read: no ledger row" : `not read: the ledger stands at ${next}`,
      true,
    );
  }
  const reject = evidence.rejects.get(place);
  if (expected.kind === "rejected") {
    const difference = reject === undefined ? "no reject" : compareReject(record, expected.reason, reject);
    return difference === undefined ? { ...about, pass: true, unread: false, found: "" } : failed(difference);
  }
  if (reject !== undefined) return failed(`rejected: ${reject.reason}`);
  const row = rows.get(keyOf(expected.row));
  if (row === undefined) return failed("no row");
  return row.heartRate === expected.row.heartRate && row.anomaly === expected.row.anomaly
    ? { ...about, pass: true, unread: false, found: "" }
    : failed(`row ${describeRow(row)}`);
}

/** The difference, or undefined. */
function compareReject(
  { key, value }: PublishedRecord["record"],
  reason: string,
  reject: FoundReject,
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
  const owners = new Map<string, PublishedRecord["record"]>();
  const explained = new Set<string>();
  for (const { record } of published) {
    if (record.customer !== undefined) owners.set(record.customer, record);
    if (record.expected.kind !== "rejected") explained.add(keyOf(record.expected.row));
  }
  return rows.flatMap((row) => {
    const owner = owners.get(row.customerId);
    if (owner === undefined || explained.has(keyOf(row))) return [];
    const { scenario, what } = owner;
    const found = `row ${describeRow(row)}`;
    return [{ scenario, what, place: "-", pass: false, unread: false, expected: "no other row", found }];
  });
}

function keyOf({ customerId, ts }: StoredRow): string {
  return `${ts} ${customerId}`;
}

function describeExpected({ expected }: PublishedRecord["record"]): string {
  switch (expected.kind) {
    case "stored":
      return `row ${describeRow(expected.row)}`;
    case "duplicate":
      return `duplicate of ${describeRow(expected.row)}`;
    case "rejected":
      return `rejected: ${expected.reason}`;
  }
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
