/** The readings of a recorded file, CSV or NDJSON, of any size, a piece at a time. */
import { describeError, PipelineError } from "../../_shared/errors.ts";
import type { Recording } from "../config.ts";
import { csvRows } from "./csv_rows.ts";
import { readBytes } from "./file_bytes.ts";
import { ndjsonRows } from "./ndjson_rows.ts";
import { type BadRow, describeBadRow, readRow, type RecordedReading, type Row } from "./row.ts";
import { SkippedRows } from "../skipped_rows.ts";

const NEXT = "correct the row, --map, --time-format or --timezone, or give --skip-bad";

/**
 * Yields the readings in the order of the file, at most `count`, many in a piece.
 *
 * @param skipped hears of each row that is skipped
 * @param published whether what was yielded is published when a bad row ends it
 * @throws PipelineError with file, line, column, value and what was expected, for a bad row that is not to be skipped
 * @throws PipelineError that says why, when the whole file gave no reading
 */
export async function* readRecording(
  recording: Recording,
  skipped = new SkippedRows(),
  { published = false }: { published?: boolean } = {},
): AsyncGenerator<readonly RecordedReading[], void, undefined> {
  const { path, format, mapping, count = Infinity } = recording;
  let total = 0;
  try {
    const bytes = readBytes(path);
    for await (const rows of format === "csv" ? csvRows(path, bytes, mapping) : ndjsonRows(bytes, mapping)) {
      const { readings, bad } = readRows(rows, count - total, recording, skipped);
      total += readings.length;
      if (readings.length > 0) yield readings;
      if (bad !== undefined) throw badRow(path, bad, published ? total : 0);
      if (total >= count) return;
    }
  } catch (error) {
    if (error instanceof PipelineError) throw error;
    const message = `Cannot read ${path}: ${describeError(error)}, expected a readable file`;
    throw new PipelineError("input_invalid", message, { cause: error });
  }
  if (total === 0) throw noReadings(path, skipped);
}

/** @param atMost readings; what is behind them is not looked at */
function readRows(
  rows: readonly (Row | BadRow)[],
  atMost: number,
  { mapping, time, skipBad }: Recording,
  skipped: SkippedRows,
): { readonly readings: readonly RecordedReading[]; readonly bad?: BadRow } {
  const readings: RecordedReading[] = [];
  for (const row of rows) {
    if (readings.length >= atMost) break;
    const read = "cells" in row ? readRow(row, mapping, time) : row;
    if ("reading" in read) readings.push(read.reading);
    else if (skipBad) skipped.add(read);
    else return { readings, bad: read };
  }
  return { readings };
}

function badRow(path: string, bad: BadRow, published: number): PipelineError {
  const before = published === 0 ? "nothing was published" : `readings sent before it: ${published}`;
  return new PipelineError(
    "input_invalid",
    `Cannot read ${path}, ${describeBadRow(bad)}; ${before}; ${NEXT}`,
  );
}

function noReadings(path: string, { rows, first }: SkippedRows): PipelineError {
  const why = first === undefined
    ? "there is no row in it, expected at least one reading"
    : `all ${rows} rows were skipped, expected at least one reading; the first, ${describeBadRow(first)}; ` +
      "correct --map, --time-format or --timezone";
  return new PipelineError("input_invalid", `Cannot publish ${path}: ${why}`);
}
