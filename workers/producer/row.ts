/** One row of a recording, read into a reading, or what is wrong with it. */
import type { Field, Mapping } from "./mapping.ts";
import type { TimeFormat } from "./time_format.ts";

/** Values by column. */
export type Row = Readonly<Record<string, unknown>>;

export interface RecordedReading {
  readonly customerId: string;
  readonly micros: number;
  readonly heartRate: number;
}

export type ReadRow = { readonly kind: "reading"; readonly reading: RecordedReading } | {
  readonly kind: "bad";
  readonly column: string;
  /** Completes "column X ": what is there, and what should be. */
  readonly problem: string;
};

/**
 * Reads a row. A heart rate outside of what a heart can do is not our business: the consumer rejects it with its bytes.
 */
export function readRow(row: Row, mapping: Mapping, time: TimeFormat): ReadRow {
  const customerId = textOf(row, mapping.customer_id);
  if (customerId === undefined || customerId === "") {
    return bad(row, mapping, "customer_id", "a text or a number");
  }
  const micros = time.parse(textOf(row, mapping.timestamp) ?? "");
  if (micros === undefined) return bad(row, mapping, "timestamp", time.expected);
  const rate = textOf(row, mapping.heart_rate) ?? "";
  if (!/^-?\d{1,9}$/.test(rate)) return bad(row, mapping, "heart_rate", "a whole number of beats per minute");
  return { kind: "reading", reading: { customerId, micros, heartRate: Number(rate) } };
}

function textOf(row: Row, column: string): string | undefined {
  const value = Object.hasOwn(row, column) ? row[column] : undefined;
  return typeof value === "string" || typeof value === "number" ? String(value).trim() : undefined;
}

function bad(row: Row, mapping: Mapping, field: Field, expected: string): ReadRow {
  const column = mapping[field];
  const is = Object.hasOwn(row, column)
    ? `is ${JSON.stringify(row[column])}`
    : `is missing (there are ${Object.keys(row).join(", ")})`;
  return { kind: "bad", column, problem: `${is}, expected ${expected}` };
}
