/**
 * Folder `recording`: reads CSV and NDJSON files of any size into readings. It never publishes and never repairs a row:
 * a row is read exactly, or reported with its line and the reason.
 *
 * This file: the rows of a CSV file (RFC 4180, separated by commas, with a header).
 */
import { Buffer, isUtf8 } from "node:buffer";
import { CsvError, parse } from "csv-parse";
import { type BadRow, FIELDS, invalid, type Mapping, NumberText, quote, type Row } from "./row.ts";

/** A longer row means that the file has no line ends, or that a quote was not closed. */
export const MAX_ROW_BYTES = 1024 * 1024;

/** @throws PipelineError if the header lacks a mapped column, or if a row is not CSV */
export async function* csvRows(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  mapping: Mapping,
): AsyncGenerator<readonly (Row | BadRow)[]> {
  let rows: (Row | BadRow)[] = [];
  let readCells: ReturnType<typeof cellReader> | undefined;
  let lastLine = 0;
  const parser = parse({
    // One character per byte, so that invalid UTF-8 is detected and not replaced.
    encoding: "latin1",
    record_delimiter: ["\r\n", "\n", "\r"],
    skip_empty_lines: true,
    relax_column_count: true,
    max_record_size: MAX_ROW_BYTES,
    // Uses a callback, because the parser as a stream would deliver one row at a time.
    on_record: (texts: string[], { lines: line }) => {
      lastLine = line;
      if (readCells === undefined) readCells = cellReader(path, texts, mapping);
      else rows.push(readCells(texts, line));
    },
  });
  // The failed write reports the error.
  parser.on("error", () => {});
  try {
    for await (const chunk of chunks) {
      await callAsync((done) => parser.write(chunk, done));
      yield rows;
      rows = [];
    }
    await callAsync((done) => parser.end(done));
    yield rows;
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    yield rows;
    // The start of the next row is unknown, so this row cannot be skipped.
    const problem = error.code === "CSV_MAX_RECORD_SIZE"
      ? `the row after line ${lastLine} has more than ${MAX_ROW_BYTES} bytes; is a quote left open?`
      : `line ${Number(error["lines"] ?? lastLine)}: ${error.message}`;
    throw invalid(`Cannot read ${path}, ${problem}`, error);
  }
}

/** @throws PipelineError if the header lacks a mapped column or has it twice */
function cellReader(path: string, header: readonly string[], mapping: Mapping) {
  const names = header.map((name) => utf8(name) ?? name);
  const columnIndex = (field: keyof Mapping): number => {
    const index = names.indexOf(mapping[field]);
    if (index >= 0 && !names.includes(mapping[field], index + 1)) return index;
    const list = quote(names.map((name) => JSON.stringify(name)).join(", "));
    const separated = names.length === 1 && /[;\t|]/.test(list);
    const expected = `expected ${JSON.stringify(mapping[field])} once, for ${field}`;
    const next = separated ? "separate the columns by commas" : "name the columns with --map";
    throw invalid(`Cannot read ${path}: its header has the columns ${list}, ${expected}; ${next}`);
  };
  const [customer, timestamp, heartRate] = FIELDS.map(columnIndex) as [number, number, number];
  return (texts: readonly string[], line: number): Row | BadRow => {
    if (texts.length > names.length && texts.slice(names.length).some((text) => text !== "")) {
      const problem =
        `has ${texts.length} columns, expected ${names.length}; quote values that contain a comma`;
      return { line, reason: "too_many_columns", problem };
    }
    const id = utf8(texts[customer] ?? "");
    if (id === undefined) {
      return { line, reason: "invalid_utf8", column: mapping.customer_id, problem: "is not valid UTF-8" };
    }
    const rate = texts[heartRate]?.trim();
    const cells = {
      customer_id: texts[customer] === undefined ? undefined : id,
      timestamp: texts[timestamp]?.trim(),
      heart_rate: rate === undefined ? undefined : new NumberText(rate),
    };
    return { line, cells };
  };
}

/** @returns undefined if the bytes, read as Latin-1, are not UTF-8 */
function utf8(latin1: string): string | undefined {
  // deno-lint-ignore no-control-regex
  if (!/[^\x00-\x7f]/.test(latin1)) return latin1;
  const bytes = Buffer.from(latin1, "latin1");
  return isUtf8(bytes) ? bytes.toString() : undefined;
}

function callAsync(call: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => call((error) => error ? reject(error) : resolve()));
}
