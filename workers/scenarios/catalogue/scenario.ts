/** What a scenario is: records, and for each of them where it must end. */
import { createHash } from "node:crypto";
import type { Anomaly, Limits, RejectReason } from "../../_shared/record/heartbeat.ts";

export interface Scenario {
  readonly name: string;
  /** Completes "checks that ...". */
  readonly promise: string;
  /** In the order in which they are published. */
  readonly records: (run: Run) => readonly PlannedRecord[];
}

export function scenario(name: string, promise: string, records: Scenario["records"]): Scenario {
  return { name, promise, records };
}

/** A row that must be in public.heartbeats. */
export interface StoredRow {
  readonly customerId: string;
  /** With six decimals and Z, as the table gives it back. */
  readonly ts: string;
  readonly heartRate: number;
  readonly anomaly: Anomaly | null;
}

export type Expected =
  | { readonly kind: "stored"; readonly row: StoredRow }
  /** Counted and nothing else: its row is that of an earlier record. */
  | { readonly kind: "duplicate"; readonly row: StoredRow }
  | { readonly kind: "rejected"; readonly reason: RejectReason };

export type Codec = "none" | "gzip" | "snappy" | "lz4" | "zstd";

export interface PlannedRecord {
  /** What is special about it. */
  readonly what: string;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly expected: Expected;
  /** Every row of this customer must be one that is expected; absent when other runs use it too, or none is named. */
  readonly customer?: string;
  /** Added to the key's own partition, modulo their number. */
  readonly partitionShift?: number;
  /** Records of one codec travel in one batch. */
  readonly codec?: Codec;
}

/** What the records of one run have in common. The same run always makes the same records. */
export interface Run {
  readonly id: string;
  readonly limits: Limits;
  readonly startedMs: number;
  /** Neither low nor high. */
  readonly heartRate: number;
  /** Valid, and another one. */
  readonly otherHeartRate: number;
  /** 10^15 to 10^15 + 2^48: a customer with an integer id that is this run's own. */
  readonly number: number;
  /** A customer that no other run has. */
  readonly customer: (name: string) => string;
}

/** @param id letters, digits, dots, underscores and hyphens, 40 at most */
export function createRun(id: string, limits: Limits, startedMs: number): Run {
  const heartRate = Math.floor((limits.lowBpm + limits.highBpm) / 2);
  return {
    id,
    limits,
    startedMs,
    heartRate,
    otherHeartRate: heartRate < limits.maxBpm ? heartRate + 1 : heartRate - 1,
    number: 1e15 + createHash("sha256").update(id).digest().readUIntBE(0, 6),
    customer: (name) => `scenario-${id}-${name}`,
  };
}

/** When most readings are, as the table gives it back. */
export const TS = "2026-07-14T09:30:00.123456Z";

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export function rejected(reason: RejectReason): Expected {
  return { kind: "rejected", reason };
}

/** What is special about a reading; left out, it is an ordinary one. */
export interface ReadingOverrides {
  /** Of its row; `TS` unless told. */
  readonly ts?: string;
  /** The timestamp that is sent; `ts` unless told. */
  readonly written?: unknown;
  readonly heartRate?: number;
  readonly anomaly?: Anomaly | null;
  readonly others?: Readonly<Record<string, unknown>>;
  readonly becomes?: "duplicate" | RejectReason;
}

/** A record as a well-behaved producer writes it: keyed by the customer it is about. */
export function reading(
  run: Run,
  what: string,
  customer: string,
  peculiar: ReadingOverrides = {},
): PlannedRecord {
  const { ts = TS, written = ts, heartRate = run.heartRate, others } = peculiar;
  const value = { customer_id: customer, timestamp: written, heart_rate: heartRate, ...others };
  const expected = expectedOf(
    { customerId: customer, ts, heartRate, anomaly: peculiar.anomaly ?? null },
    peculiar,
  );
  return { what, key: bytes(customer), value: bytes(JSON.stringify(value)), expected, customer };
}

/** Where a record ends whose row this is, or would be. */
export function expectedOf(row: StoredRow, { becomes }: Pick<ReadingOverrides, "becomes"> = {}): Expected {
  if (becomes !== undefined && becomes !== "duplicate") return rejected(becomes);
  return { kind: becomes ?? "stored", row };
}

/** A value that is written out, and why it is rejected, if it is. */
export type Written = readonly [
  what: string,
  value: string | Uint8Array | null,
  reason?: RejectReason | undefined,
];

/**
 * A record of a customer of its own, whose value is written out: what is special about it shall be seen. `READING` stands
 * for the three members of a valid record, `REST` for all but the customer's, `ID` for the customer, `BPM` for a normal
 * rate.
 */
export function written(run: Run, name: string, [what, value, reason]: Written): PlannedRecord {
  const customer = run.customer(name);
  const text = typeof value === "string"
    ? value.replaceAll("READING", '"customer_id":"ID",REST').replaceAll(
      "REST",
      `"timestamp":"${TS}","heart_rate":BPM`,
    )
      .replaceAll("ID", customer).replaceAll("BPM", String(run.heartRate))
    : value;
  const row = { customerId: customer, ts: TS, heartRate: run.heartRate, anomaly: null };
  const expected = reason === undefined ? expectedOf(row) : rejected(reason);
  return {
    what,
    key: bytes(customer),
    value: typeof text === "string" ? bytes(text) : text,
    expected,
    customer,
  };
}
