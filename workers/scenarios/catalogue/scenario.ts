import { createHash } from "node:crypto";
import type { Anomaly, Limits, RejectReason } from "../../_shared/record/heartbeat.ts";

export interface Scenario {
  readonly name: string;
  /** The text after "checks that" in the list of scenarios. */
  readonly promise: string;
  readonly records: (run: Run) => readonly PlannedRecord[];
}

export function scenario(name: string, promise: string, records: Scenario["records"]): Scenario {
  return { name, promise, records };
}

export interface StoredRow {
  readonly customerId: string;
  /** UTC with six decimals and Z. */
  readonly ts: string;
  readonly heartRate: number;
  readonly anomaly: Anomaly | null;
}

export type Expected =
  | { readonly kind: "stored"; readonly row: StoredRow }
  | { readonly kind: "duplicate"; readonly row: StoredRow }
  | { readonly kind: "rejected"; readonly reason: RejectReason };

export type Codec = "none" | "gzip" | "snappy" | "lz4" | "zstd";

export interface PlannedRecord {
  /** The special property of the record, for the report. */
  readonly what: string;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly expected: Expected;
  /** A customer id that only this run has: each of its rows must be expected by a record. */
  readonly customer?: string;
  /** Added to the partition of the key, modulo the number of partitions. */
  readonly partitionShift?: number;
  readonly codec?: Codec;
}

/** The records of a run share these values. The same id gives the same records, except for records near the present. */
export interface Run {
  readonly id: string;
  readonly limits: Limits;
  readonly startedMs: number;
  /** A valid heart rate that is no anomaly. */
  readonly heartRate: number;
  readonly otherHeartRate: number;
  /** A customer id of this run: 10^15 plus a hash of less than 2^48. */
  readonly integerId: number;
  readonly customer: (name: string) => string;
}

export function createRun(id: string, limits: Limits, startedMs: number): Run {
  const heartRate = Math.floor((limits.lowBpm + limits.highBpm) / 2);
  return {
    id,
    limits,
    startedMs,
    heartRate,
    otherHeartRate: heartRate < limits.maxBpm ? heartRate + 1 : heartRate - 1,
    integerId: 1e15 + createHash("sha256").update(id).digest().readUIntBE(0, 6),
    customer: (name) => `scenario-${id}-${name}`,
  };
}

/** Timestamp of most readings. */
export const TS = "2026-07-14T09:30:00.123456Z";

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export function rejected(reason: RejectReason): Expected {
  return { kind: "rejected", reason };
}

export interface ReadingOverrides {
  /** The timestamp of the expected row, by default `TS`. */
  readonly ts?: string;
  /** The timestamp as sent, by default `ts`. */
  readonly timestamp?: unknown;
  readonly heartRate?: number;
  readonly anomaly?: Anomaly | null;
  readonly others?: Readonly<Record<string, unknown>>;
  readonly outcome?: "duplicate" | RejectReason;
}

/** Makes a record in the normal form. Its key is the customer id. */
export function reading(
  run: Run,
  what: string,
  customer: string,
  overrides: ReadingOverrides = {},
): PlannedRecord {
  const { ts = TS, timestamp = ts, heartRate = run.heartRate, others } = overrides;
  const value = { customer_id: customer, timestamp, heart_rate: heartRate, ...others };
  const expected = expectedOf(
    { customerId: customer, ts, heartRate, anomaly: overrides.anomaly ?? null },
    overrides,
  );
  return { what, key: bytes(customer), value: bytes(JSON.stringify(value)), expected, customer };
}

export function expectedOf(row: StoredRow, { outcome }: Pick<ReadingOverrides, "outcome"> = {}): Expected {
  if (outcome !== undefined && outcome !== "duplicate") return rejected(outcome);
  return { kind: outcome ?? "stored", row };
}

/** `reason` is undefined if the value is a valid reading. */
export type Template = readonly [
  what: string,
  value: string | Uint8Array | null,
  reason?: RejectReason | undefined,
];

/**
 * Makes a record for a separate customer. In the value, `READING` stands for the three members of a valid record, `REST` for all of
 * them but the customer id, `ID` for the customer id, and `BPM` for a normal heart rate.
 */
export function fromTemplate(run: Run, name: string, [what, value, reason]: Template): PlannedRecord {
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
