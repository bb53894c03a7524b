/** The readings of a recorded file, CSV or NDJSON, of any size, a piece at a time. */
import { CsvError, parse } from "csv-parse";
import { describeError, PipelineError } from "../_shared/errors.ts";
import type { Recording } from "./config.ts";
import { readRow, type RecordedReading, type Row } from "./row.ts";

/** What is wrong, and on which line, counted from 1 with the header. */
interface BadLine {
  readonly line: number;
  readonly problem: string;
}

type Line = { readonly line: number; readonly row: Row } | BadLine;

/** What is read at a time; its rows are the piece that is handed on. */
const CHUNK_BYTES = 128 * 1024;

/**
 * Yields the readings in the order of the file, at most `count`, many in a piece.
 *
 * @param onBad told of each row that is skipped
 * @throws PipelineError with file, line, column, value and what was expected, for a bad row that is not to be skipped
 */
export async function* readRecording(
  recording: Recording,
  onBad: () => void = () => {},
): AsyncGenerator<readonly RecordedReading[], void, undefined> {
  const { path, count = Infinity } = recording;
  let left = count;
  try {
    for await (const lines of recording.format === "csv" ? csvLines(path) : ndjsonLines(path)) {
      const readings = readLines(lines, left, recording, onBad);
      left -= readings.length;
      yield readings;
      if (left <= 0) return;
    }
  } catch (error) {
    if (error instanceof PipelineError) throw error;
    const message = `Cannot read ${path}: ${describeError(error)}, expected a readable file`;
    throw new PipelineError("input_invalid", message, { cause: error });
  }
}

/** @param atMost readings; what is behind them is not looked at */
function readLines(
  lines: readonly Line[],
  atMost: number,
  { path, mapping, time, skipBad }: Recording,
  onBad: () => void,
): RecordedReading[] {
  const readings: RecordedReading[] = [];
  for (const line of lines) {
    if (readings.length >= atMost) break;
    const reading = "row" in line ? readRow(line.row, mapping, time) : line;
    if ("reading" in reading) {
      readings.push(reading.reading);
    } else if (skipBad) {
      onBad();
    } else {
      const column = "column" in reading ? `, column ${reading.column}` : "";
      throw badRow(path, line.line, column, reading.problem);
    }
  }
  return readings;
}

function badRow(path: string, line: number, column: string, problem: string): PipelineError {
  const next =
    "nothing was published; correct the row, --map, --time-format or --timezone, or give --skip-bad";
  return new PipelineError(
    "input_invalid",
    `Cannot read ${path}, line ${line}${column}: ${problem}; ${next}`,
  );
}

/** Its bytes, each piece in memory of its own. */
async function* chunksOf(path: string): AsyncGenerator<Uint8Array> {
  using file = await Deno.open(path);
  for (;;) {
    const bytes = new Uint8Array(CHUNK_BYTES);
    const length = await file.read(bytes);
    if (length === null) return;
    yield bytes.subarray(0, length);
  }
}

async function* csvLines(path: string): AsyncGenerator<readonly Line[]> {
  let lines: Line[] = [];
  const parser = parse({
    bom: true,
    columns: true,
    skip_empty_lines: true,
    relax_column_count: true,
    // Not through the parser's stream, which would hand on a row at a time.
    on_record: (row: Row, { lines: line }) => void lines.push({ line, row }),
  });
  // Told by the write that fails.
  parser.on("error", () => {});
  try {
    for await (const chunk of chunksOf(path)) {
      await settled((done) => parser.write(chunk, done));
      yield lines;
      lines = [];
    }
    await settled((done) => parser.end(done));
    yield lines;
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    // Those before it, one of which may be the last that was asked for.
    yield lines;
    // Past a broken quote it is unknown where rows begin, so this one is not skipped.
    throw badRow(path, Number(error["lines"] ?? 0), "", error.message);
  }
}

/** Of a call that takes a callback. */
function settled(call: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => call((error) => error ? reject(error) : resolve()));
}

async function* ndjsonLines(path: string): AsyncGenerator<readonly Line[]> {
  const decoder = new TextDecoder();
  let line = 0;
  let rest = "";
  const parseAll = (texts: readonly string[]) => texts.flatMap((text) => parseJson(text, ++line));
  for await (const chunk of chunksOf(path)) {
    const texts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = texts.pop() ?? "";
    yield parseAll(texts);
  }
  yield parseAll([rest + decoder.decode()]);
}

/** @returns nothing for an empty line */
function parseJson(text: string, line: number): Line[] {
  if (text.trim() === "") return [];
  const problem = `is ${JSON.stringify(text.slice(0, 80))}, expected a JSON object`;
  try {
    const row: unknown = JSON.parse(text);
    return typeof row === "object" && row !== null && !Array.isArray(row)
      ? [{ line, row: row as Row }]
      : [{ line, problem }];
  } catch {
    return [{ line, problem }];
  }
}
