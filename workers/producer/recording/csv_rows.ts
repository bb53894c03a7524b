/**
 * Folder `recording`: reads files of recorded heart rates, CSV or NDJSON, of any size, into readings, exactly or not at
 * all. It never publishes, and never mends a row: it says which line is wrong, and why.
 *
 * This file: the rows of a CSV file (RFC 4180, separated by commas, with a header).
 */
import { Buffer, isUtf8 } from "node:buffer";
import { CsvError, parse } from "csv-parse";
import { type BadRow, FIELDS, invalid, type Mapping, quote, type Row, WrittenNumber } from "./row.ts";

/** A row that is longer is a file without line ends, or a quote that was left open. */
export const MAX_ROW_BYTES = 1024 * 1024;

/** @throws PipelineError when the header lacks a column, or where it is unknown after an error how to go on */
export async function* csvRows(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  mapping: Mapping,
): AsyncGenerator<readonly (Row | BadRow)[]> {
  let rows: (Row | BadRow)[] = [];
  let readCells: ReturnType<typeof cellReader> | undefined;
  let lastLine = 0;
  const parser = parse({
    // Each byte as one character: what is not UTF-8 is then seen and not replaced.
    encoding: "latin1",
    record_delimiter: ["\r\n", "\n", "\r"],
    skip_empty_lines: true,
    relax_column_count: true,
    max_record_size: MAX_ROW_BYTES,
    // Not through the parser's stream, which would hand on a row at a time.
    on_record: (texts: string[], { lines: line }) => {
      lastLine = line;
      if (readCells === undefined) readCells = cellReader(path, texts, mapping);
      else rows.push(readCells(texts, line));
    },
  });
  // The write that fails reports it.
  parser.on("error", () => {});
  try {
    for await (const chunk of chunks) {
      await settled((done) => parser.write(chunk, done));
      yield rows;
      rows = [];
    }
    await settled((done) => parser.end(done));
    yield rows;
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    // The rows before it, one of which may be the last that was asked for.
    yield rows;
    const problem = error.code === "CSV_MAX_RECORD_SIZE"
      ? `the row after line ${lastLine} has more than ${MAX_ROW_BYTES} bytes; is a quote left open?`
      : `line ${Number(error["lines"] ?? lastLine)}: ${error.message}`;
    // It is unknown where the next row begins, so that this one cannot be skipped.
    throw invalid(`Cannot read ${path}, ${problem}`, error);
  }
}

/** @throws PipelineError unless the header has each column once */
function cellReader(path: string, header: readonly string[], mapping: Mapping) {
  const names = header.map((name) => utf8(name) ?? name);
  const place = (field: keyof Mapping): number => {
    const at = names.indexOf(mapping[field]);
    if (at >= 0 && !names.includes(mapping[field], at + 1)) return at;
    const list = quote(names.map((name) => JSON.stringify(name)).join(", "));
    const separated = names.length === 1 && /[;\t|]/.test(list);
    const expected = `expected ${JSON.stringify(mapping[field])} once, for ${field}`;
    const next = separated ? "separate the columns by commas" : "name the columns with --map";
    throw invalid(`Cannot read ${path}: its header has the columns ${list}, ${expected}; ${next}`);
  };
  const [customer, timestamp, heartRate] = FIELDS.map(place) as [number, number, number];
  return (texts: readonly string[], line: number): Row | BadRow => {
    if (texts.length > names.length && texts.slice(names.length).some((text) => text !== "")) {
      const problem = `has ${texts.length} columns, expected ${names.length}; quote what has a comma in it`;
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
      heart_rate: rate === undefined ? undefined : new WrittenNumber(rate),
    };
    return { line, cells };
  };
}

/** Of bytes that were read as Latin-1; undefined when they are not UTF-8. */
function utf8(latin1: string): string | undefined {
  // deno-lint-ignore no-control-regex
  if (!/[^\x00-\x7f]/.test(latin1)) return latin1;
  const bytes = Buffer.from(latin1, "latin1");
  return isUtf8(bytes) ? bytes.toString() : undefined;
}

/** Of a call that takes a callback. */
function settled(call: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => call((error) => error ? reject(error) : resolve()));
}
