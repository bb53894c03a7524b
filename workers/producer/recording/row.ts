import { PipelineError } from "../../_shared/errors.ts";
import { CUSTOMER_ID_EXPECTED, isCustomerId, type RejectReason } from "../../_shared/record/heartbeat.ts";
import { isWhole } from "../../_shared/record/json_number.ts";
import type { TimeFormat } from "./time_format.ts";

export const FIELDS = ["customer_id", "timestamp", "heart_rate"] as const;
export type Field = typeof FIELDS[number];

/** The column of the recording for each field of a record. */
export type Mapping = Readonly<Record<Field, string>>;

/** A number as the file has it; a double may not hold all its digits. */
export class NumberText {
  constructor(readonly text: string) {}
}

export interface Row {
  /** The number of the line, from 1, including the header. */
  readonly line: number;
  /** A cell is a string, a `NumberText` or another JSON value. It is undefined if it is missing. */
  readonly cells: Readonly<Record<Field, unknown>>;
}

export interface Reading {
  /** A number stays a number: the consumer takes it for the same customer as its decimal text. */
  readonly customerId: string | number;
  /** Microseconds since the Unix epoch. */
  readonly micros: bigint;
  readonly heartRate: number;
}

export interface BadRow {
  readonly line: number;
  /** A reject reason of the consumer, or one that only a file can have. */
  readonly reason: RejectReason | "row_too_long" | "too_many_columns";
  readonly column?: string;
  readonly problem: string;
}

const NUMBER = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/;
/** Its text is short enough for `ReadingWriter`. The consumer rejects far lower heart rates. */
const MAX_HEART_RATE = 999_999_999;
const QUOTED_CHARS = 80;

/** @returns undefined if a field is unknown, is given twice, or has no column */
export function parseMapping(text: string): Mapping | undefined {
  const given: Partial<Record<Field, string>> = {};
  for (const pair of text.split(",")) {
    const [name = "", ...rest] = pair.split("=");
    const field = FIELDS.find((field) => field === name.trim());
    const column = rest.join("=").trim();
    if (field === undefined || column === "" || given[field] !== undefined) return undefined;
    given[field] = column;
  }
  return { customer_id: "customer_id", timestamp: "timestamp", heart_rate: "heart_rate", ...given };
}

/** The file that `produce --file` publishes, and how to read it. */
export interface Recording {
  readonly path: string;
  readonly format: "csv" | "ndjson";
  readonly mapping: Mapping;
  readonly time: TimeFormat;
  /** A result of `parseZone`, for times without an offset. */
  readonly zone: string;
  /** A multiple of real time; Infinity is as fast as Kafka takes records. */
  readonly speed: number;
  readonly shiftToNow: boolean;
  readonly skipBad: boolean;
  readonly count?: number | undefined;
}

/** Checks a row by the rules of the wire schema only. Limits of heart rates and timestamps belong to the consumer. */
export function readRow(row: Row, { mapping, time, zone }: Recording): Reading | BadRow {
  const { customer_id: cell, timestamp, heart_rate } = row.cells;
  const customerId = cell instanceof NumberText ? parseWhole(cell.text) : cell;
  // The id is never trimmed or normalized, because two customers could become one.
  if (!isCustomerId(customerId)) return badCell(row, mapping, "customer_id", CUSTOMER_ID_EXPECTED);
  const written = timestamp instanceof NumberText ? timestamp.text : timestamp;
  const micros = time.parse(typeof written === "string" ? written : "", zone);
  if (micros === undefined) return badCell(row, mapping, "timestamp", time.expected);
  const heartRate = heart_rate instanceof NumberText ? parseWhole(heart_rate.text) : undefined;
  if (heartRate === undefined || Math.abs(heartRate) > MAX_HEART_RATE) {
    return badCell(row, mapping, "heart_rate", "a whole number of beats per minute");
  }
  return { customerId, micros, heartRate };
}

/** @returns undefined for a fraction and for an integer that a double cannot hold */
function parseWhole(written: string): number | undefined {
  if (!NUMBER.test(written) || !isWhole(written)) return undefined;
  const value = Number(written);
  return Number.isSafeInteger(value) ? value : undefined;
}

function badCell({ cells, line }: Row, mapping: Mapping, field: Field, expected: string): BadRow {
  const cell = cells[field];
  const text = cell instanceof NumberText ? cell.text : JSON.stringify(cell);
  const shown = cell instanceof NumberText && !NUMBER.test(text) ? JSON.stringify(text) : text;
  const [kind, problem] = cell === undefined
    ? ["missing", "is missing"] as const
    : ["invalid", `is ${quote(shown)}`] as const;
  return {
    line,
    reason: `${kind}_${field}`,
    column: mapping[field],
    problem: `${problem}, expected ${expected}`,
  };
}

export function describeBadRow({ line, column, problem }: BadRow): string {
  return `line ${line}${column === undefined ? "" : `, column ${column}`}: ${problem}`;
}

export function quote(text: string): string {
  return text.length <= QUOTED_CHARS ? text : `${text.slice(0, QUOTED_CHARS)}...`;
}

export function invalid(message: string, cause?: unknown): PipelineError {
  return new PipelineError("input_invalid", message, { cause });
}
