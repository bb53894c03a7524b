/** What a scenario is: records, and for each of them where it must end. */
import { createHash } from "node:crypto";
import type { Anomaly, Limits, RejectReason } from "../_shared/record/heartbeat.ts";

export interface Scenario {
  readonly name: string;
  /** Completes "checks that ...". */
  readonly promise: string;
  /** In the order in which they are published. */
  readonly records: (run: Run) => readonly PlannedRecord[];
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

/** An instant that is exact to the microsecond and that no other run has, between 1970 and 1978. */
export function instantOf(run: Run): string {
  const micros = run.number - 1e15;
  const toMillis = new Date(Math.floor(micros / 1000)).toISOString().slice(0, -1);
  return `${toMillis}${String(micros % 1000).padStart(3, "0")}Z`;
}

const encoder = new TextEncoder();

export function bytes(text: string): Uint8Array {
  return encoder.encode(text);
}

export function stored(
  customerId: string,
  ts: string,
  heartRate: number,
  anomaly: Anomaly | null = null,
): Expected {
  return { kind: "stored", row: { customerId, ts, heartRate, anomaly } };
}

export function duplicate(
  customerId: string,
  ts: string,
  heartRate: number,
  anomaly: Anomaly | null = null,
): Expected {
  return { kind: "duplicate", row: { customerId, ts, heartRate, anomaly } };
}

export function rejected(reason: RejectReason): Expected {
  return { kind: "rejected", reason };
}

/** A record as a well-behaved producer writes it: keyed by the customer it is about. */
export function reading(
  what: string,
  customer: string,
  members: Readonly<Record<string, unknown>>,
  expected: Expected,
): PlannedRecord {
  const value = bytes(JSON.stringify({ customer_id: customer, ...members }));
  return { what, key: bytes(customer), value, expected, customer };
}

/** A record whose value is written out; the run's customer, if one is named, owns its rows. */
export function raw(
  what: string,
  key: string | null,
  value: string | Uint8Array | null,
  expected: Expected,
  customer?: string,
): PlannedRecord {
  return {
    what,
    key: key === null ? null : bytes(key),
    value: typeof value === "string" ? bytes(value) : value,
    expected,
    ...(customer === undefined ? {} : { customer }),
  };
}
