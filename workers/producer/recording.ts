/** The readings of a recorded file, CSV or NDJSON, of any size, a piece at a time. */
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
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

/**
 * Yields the readings in the order of the file, at most `count`.
 *
 * @param onBad told of each row that is skipped
 * @throws PipelineError with file, line, column, value and what was expected, for a bad row that is not to be skipped
 */
export async function* readRecording(
  recording: Recording,
  onBad: () => void = () => {},
): AsyncGenerator<RecordedReading, void, undefined> {
  const { path, mapping, time, skipBad, count = Infinity } = recording;
  const lines = recording.format === "csv" ? csvLines(path) : ndjsonLines(path);
  let yielded = 0;
  try {
    for await (const line of lines) {
      const reading = "row" in line ? readRow(line.row, mapping, time) : line;
      if ("reading" in reading) {
        yield reading.reading;
        if (++yielded >= count) return;
        continue;
      }
      if (!skipBad) {
        throw badRow(
          path,
          line.line,
          "column" in reading ? `, column ${reading.column}` : "",
          reading.problem,
        );
      }
      onBad();
    }
  } catch (error) {
    if (error instanceof PipelineError) throw error;
    throw new PipelineError(
      "input_invalid",
      `Cannot read ${path}: ${describeError(error)}, expected a readable file`,
      {
        cause: error,
      },
    );
  }
}

function badRow(path: string, line: number, column: string, problem: string): PipelineError {
  const next =
    "nothing was published; correct the row, --map, --time-format or --timezone, or give --skip-bad";
  return new PipelineError(
    "input_invalid",
    `Cannot read ${path}, line ${line}${column}: ${problem}; ${next}`,
  );
}

/** Opened before it is piped: a stream that fails to open would fail beside the parser that waits for it. */
async function openFile(path: string): Promise<Readable> {
  return Readable.from((await Deno.open(path)).readable);
}

async function* csvLines(path: string): AsyncGenerator<Line> {
  const parser = (await openFile(path)).pipe(
    parse({ bom: true, columns: true, info: true, skip_empty_lines: true, relax_column_count: true }),
  );
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: Row; info: { lines: number } }>) {
      yield { line: info.lines, row: record };
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    // Past a broken quote it is unknown where rows begin, so this one is not skipped.
    throw badRow(path, Number(error["lines"] ?? 0), "", error.message);
  }
}

async function* ndjsonLines(path: string): AsyncGenerator<Line> {
  const input = await openFile(path);
  let line = 0;
  for await (const text of createInterface({ input, crlfDelay: Infinity })) {
    line++;
    if (text.trim() === "") continue;
    yield parseJson(text, line);
  }
}

function parseJson(text: string, line: number): Line {
  const problem = `is ${JSON.stringify(text.slice(0, 80))}, expected a JSON object`;
  try {
    const row: unknown = JSON.parse(text);
    return typeof row === "object" && row !== null && !Array.isArray(row)
      ? { line, row: row as Row }
      : { line, problem };
  } catch {
    return { line, problem };
  }
}
