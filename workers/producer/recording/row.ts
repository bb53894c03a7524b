/** One row of a recording, read into a reading by a mapping of its columns, or what is wrong with it. */
import { PipelineError } from "../../_shared/errors.ts";
import { CUSTOMER_ID_EXPECTED, isCustomerId, type RejectReason } from "../../_shared/record/heartbeat.ts";
import { isWhole } from "../../_shared/record/json_number.ts";
import type { TimeFormat } from "./time_format.ts";

export const FIELDS = ["customer_id", "timestamp", "heart_rate"] as const;
export type Field = typeof FIELDS[number];

/** Which column of a recording becomes which field of a record: column by field. */
export type Mapping = Readonly<Record<Field, string>>;

/** A number as the file writes it: a double may not hold all of its digits. */
export class WrittenNumber {
  constructor(readonly text: string) {}
}

export interface Row {
  /** Counted from 1, with the header. */
  readonly line: number;
  /** A text, a `WrittenNumber`, another value of JSON, or undefined when there is none. */
  readonly cells: Readonly<Record<Field, unknown>>;
}

export interface Reading {
  /** A number is published as a number: the consumer takes it for the same customer as its decimal text. */
  readonly customerId: string | number;
  /** Microseconds since the Unix epoch. */
  readonly micros: bigint;
  readonly heartRate: number;
}

export interface BadRow {
  readonly line: number;
  /** The reasons of the consumer, and those that only a file can have. */
  readonly reason: RejectReason | "row_too_long" | "too_many_columns";
  /** In which column, left out when it is the row as a whole. */
  readonly column?: string;
  /** Completes "line N " or "column X ": what is there, and what should be. */
  readonly problem: string;
}

const NUMBER = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/;
/** Far outside of what any consumer takes, and short enough for `ReadingWriter`. */
const MAX_HEART_RATE = 999_999_999;
const QUOTED_CHARS = 80;

/**
 * Reads `customer_id=Id,timestamp=Time,heart_rate=Value`; a field that is left out is read from the column of its name.
 *
 * @returns undefined when a field is unknown, given twice or without a column
 */
export function parseMapping(text: string): Mapping | undefined {
  const given: Partial<Record<Field, string>> = {};
  for (const pair of text.split(",")) {
    const [name = "", ...rest] = pair.split("=");
    const field = FIELDS.find((one) => one === name.trim());
    const column = rest.join("=").trim();
    if (field === undefined || column === "" || given[field] !== undefined) return undefined;
    given[field] = column;
  }
  return { customer_id: "customer_id", timestamp: "timestamp", heart_rate: "heart_rate", ...given };
}

/** A file, and how it is to be published. */
export interface Recording {
  readonly path: string;
  readonly format: "csv" | "ndjson";
  readonly mapping: Mapping;
  readonly time: TimeFormat;
  /** Of times that name no offset, as `parseZone` gives it. */
  readonly zone: string;
  /** Multiple of real time; Infinity is as fast as Kafka takes it. */
  readonly speed: number;
  readonly shiftToNow: boolean;
  readonly skipBad: boolean;
  /** No more readings than this. */
  readonly count?: number | undefined;
}

/**
 * Reads a row. It is published as the file has it or refused, by the rules of the wire schema; how fast a heart may beat
 * and which instants are too far away are the consumer's to decide.
 */
export function readRow(row: Row, { mapping, time, zone }: Recording): Reading | BadRow {
  const { customer_id: cell, timestamp, heart_rate } = row.cells;
  const customerId = cell instanceof WrittenNumber ? wholeOf(cell.text) : cell;
  // Never trimmed or brought into another form: two customers could become one.
  if (!isCustomerId(customerId)) return badCell(row, mapping, "customer_id", CUSTOMER_ID_EXPECTED);
  const written = timestamp instanceof WrittenNumber ? timestamp.text : timestamp;
  const micros = time.parse(typeof written === "string" ? written : "", zone);
  if (micros === undefined) return badCell(row, mapping, "timestamp", time.expected);
  const heartRate = heart_rate instanceof WrittenNumber ? wholeOf(heart_rate.text) : undefined;
  if (heartRate === undefined || Math.abs(heartRate) > MAX_HEART_RATE) {
    return badCell(row, mapping, "heart_rate", "a whole number of beats per minute");
  }
  return { customerId, micros, heartRate };
}

/** Undefined for what is no whole number or has more digits than a double holds. */
function wholeOf(written: string): number | undefined {
  if (!NUMBER.test(written) || !isWhole(written)) return undefined;
  const value = Number(written);
  return Number.isSafeInteger(value) ? value : undefined;
}

function badCell({ cells, line }: Row, mapping: Mapping, field: Field, expected: string): BadRow {
  const cell = cells[field];
  const text = cell instanceof WrittenNumber ? cell.text : JSON.stringify(cell);
  const is = cell instanceof WrittenNumber && !NUMBER.test(text) ? JSON.stringify(text) : text;
  const [kind, problem] = cell === undefined
    ? ["missing", "is missing"] as const
    : ["invalid", `is ${quote(is)}`] as const;
  return {
    line,
    reason: `${kind}_${field}`,
    column: mapping[field],
    problem: `${problem}, expected ${expected}`,
  };
}

/** The line, the column and the problem, without a full stop. */
export function describeBadRow({ line, column, problem }: BadRow): string {
  return `line ${line}${column === undefined ? "" : `, column ${column}`}: ${problem}`;
}

/** Cut where it is long. */
export function quote(text: string): string {
  return text.length <= QUOTED_CHARS ? text : `${text.slice(0, QUOTED_CHARS)}...`;
}

/** What an operator has to change, in the file or in the flags. */
export function invalid(message: string, cause?: unknown): PipelineError {
  return new PipelineError("input_invalid", message, { cause });
}
