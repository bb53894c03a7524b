/** One row of a recording, read into a reading, or what is wrong with it. */
import { CUSTOMER_ID_EXPECTED, isCustomerId, type RejectReason } from "../../_shared/record/heartbeat.ts";
import { isWhole } from "../../_shared/record/json_number.ts";
import type { Field, Mapping } from "../mapping.ts";
import type { TimeFormat } from "./time_format.ts";

/** A number as the file writes it: a double may not hold all of its digits. */
export class WrittenNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What a row has for each field: a text, a `WrittenNumber`, another value of JSON, or undefined when there is none. */
type Cells = Readonly<Record<Field, unknown>>;

export interface Row {
  /** Counted from 1, with the header. */
  readonly line: number;
  readonly cells: Cells;
}

export interface RecordedReading {
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
 * Reads a row. It is published as the file has it or refused, by the rules of the wire schema; how fast a heart may beat
 * and which instants are too far away are the consumer's to decide.
 */
export function readRow(
  { line, cells }: Row,
  mapping: Mapping,
  time: TimeFormat,
): { readonly reading: RecordedReading } | BadRow {
  const customerId = customerOf(cells.customer_id);
  if (customerId === undefined) return badCell(cells, line, mapping, "customer_id", CUSTOMER_ID_EXPECTED);
  const micros = time.parse(textOf(cells.timestamp) ?? "");
  if (micros === undefined) return badCell(cells, line, mapping, "timestamp", time.expected);
  const heartRate = cells.heart_rate instanceof WrittenNumber ? wholeOf(cells.heart_rate.text) : undefined;
  if (heartRate === undefined || Math.abs(heartRate) > MAX_HEART_RATE) {
    return badCell(cells, line, mapping, "heart_rate", "a whole number of beats per minute");
  }
  return { reading: { customerId, micros, heartRate } };
}

/** The customer is never trimmed or brought into another form: two customers could become one. */
function customerOf(cell: unknown): string | number | undefined {
  const id = cell instanceof WrittenNumber ? wholeOf(cell.text) : cell;
  return isCustomerId(id) ? id : undefined;
}

/** Undefined for what is no whole number or has more digits than a double holds. */
function wholeOf(written: string): number | undefined {
  if (!NUMBER.test(written) || !isWhole(written)) return undefined;
  const value = Number(written);
  return Number.isSafeInteger(value) ? value : undefined;
}

function textOf(cell: unknown): string | undefined {
  return cell instanceof WrittenNumber ? cell.text : typeof cell === "string" ? cell : undefined;
}

function badCell(cells: Cells, line: number, mapping: Mapping, field: Field, expected: string): BadRow {
  const [reason, is] = cells[field] === undefined
    ? [`missing_${field}` as const, "is missing"]
    : [`invalid_${field}` as const, `is ${describe(cells[field])}`];
  return { line, reason, column: mapping[field], problem: `${is}, expected ${expected}` };
}

function describe(cell: unknown): string {
  if (!(cell instanceof WrittenNumber)) return quote(JSON.stringify(cell));
  return quote(NUMBER.test(cell.text) ? cell.text : JSON.stringify(cell.text));
}

/** The line, the column and the problem, without a full stop. */
export function describeBadRow({ line, column, problem }: BadRow): string {
  return `line ${line}${column === undefined ? "" : `, column ${column}`}: ${problem}`;
}

/** Cut where it is long. */
export function quote(text: string): string {
  return text.length <= QUOTED_CHARS ? text : `${text.slice(0, QUOTED_CHARS)}...`;
}
