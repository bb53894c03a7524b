import type { Expected, StoredRow } from "./catalogue/scenario.ts";
import { type Evidence, isProcessed, type StoredReject } from "./evidence.ts";
import type { PublishedRecord } from "./publish.ts";

export interface Verdict {
  readonly scenario: string;
  readonly what: string;
  /** `partition:offset`, or "-" if Kafka refused the record. */
  readonly position: string;
  readonly pass: boolean;
  /** Whether no consumer has read the record yet. */
  readonly unread: boolean;
  readonly expected: string;
  /** The difference; empty for a pass. */
  readonly found: string;
}

/** One verdict for each record, and one for each unexpected row. */
export function judge(published: readonly PublishedRecord[], evidence: Evidence): Verdict[] {
  const rows = new Map(evidence.rows.map((row) => [keyOf(row), row]));
  return [
    ...published.map((record) => judgeRecord(record, rows, evidence)),
    ...strayRows(published, evidence.rows),
  ];
}

function judgeRecord(
  published: PublishedRecord,
  rows: ReadonlyMap<string, StoredRow>,
  evidence: Evidence,
): Verdict {
  const { record: { scenario, what, expected }, partition, offset } = published;
  const found = differenceOf(published, rows, evidence) ?? "";
  return {
    scenario,
    what,
    position: offset === undefined ? "-" : `${partition}:${offset}`,
    pass: found === "",
    unread: offset !== undefined && !isProcessed(evidence.next, partition, offset),
    expected: describeExpected(expected),
    found,
  };
}

function differenceOf(
  { record, partition, offset, refusal }: PublishedRecord,
  rows: ReadonlyMap<string, StoredRow>,
  { next, rejects }: Evidence,
): string | undefined {
  const { expected } = record;
  if (offset === undefined) return `refused by Kafka: ${refusal}`;
  if (!isProcessed(next, partition, offset)) {
    const nextOffset = next.get(partition);
    return nextOffset === undefined ? "not read: no ledger row" : `not read: the ledger is at ${nextOffset}`;
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
  // Retention has emptied key, payload and detail, so only the reason can be compared.
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

/** The word that the detail of a reject must contain. */
function fieldOf(reason: string): string {
  if (reason === "conflicting_duplicate") return "heart_rate";
  return ["customer_id", "timestamp", "heart_rate"].find((field) => reason.includes(field)) ?? "value";
}

/** Finds rows that no record explains, such as a rejected reading that was stored nevertheless. */
function strayRows(published: readonly PublishedRecord[], rows: readonly StoredRow[]): Verdict[] {
  const owners = new Map(published.map(({ record }) => [record.customer, record]));
  const expectedKeys = new Set(
    published.map(({ record: { expected } }) => expected.kind === "rejected" ? "" : keyOf(expected.row)),
  );
  return rows.flatMap((row) => {
    const owner = owners.get(row.customerId);
    if (owner === undefined || expectedKeys.has(keyOf(row))) return [];
    const { scenario, what } = owner;
    const about = {
      scenario,
      what,
      position: "-",
      expected: "no other row",
      found: `row ${describeRow(row)}`,
    };
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
