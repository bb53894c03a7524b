import { describeError, PipelineError } from "../../_shared/errors.ts";
import { csvRows } from "./csv_rows.ts";
import { readBytes } from "./file_bytes.ts";
import { ndjsonRows } from "./ndjson_rows.ts";
import { type BadRow, describeBadRow, invalid, type Reading, readRow, type Recording } from "./row.ts";

export type ReadingChunks = AsyncGenerator<readonly Reading[], void, undefined>;

/**
 * Yields the readings in the order of the file, at most `count`.
 *
 * @param published whether the caller publishes readings while it reads; the error about a bad row says so
 * @throws PipelineError for a bad row if `skipBad` is false, and for a file without any reading
 */
export async function* readRecording(
  recording: Recording,
  onSkipped: (bad: BadRow) => void,
  { published }: { published: boolean },
): ReadingChunks {
  const { path, format, mapping, skipBad, count = Infinity } = recording;
  let total = 0;
  let skipped = 0;
  let firstSkipped: BadRow | undefined;
  try {
    const bytes = readBytes(path);
    for await (const rows of format === "csv" ? csvRows(path, bytes, mapping) : ndjsonRows(bytes, mapping)) {
      const readings: Reading[] = [];
      let refused: BadRow | undefined;
      for (const row of rows) {
        if (total + readings.length >= count || refused !== undefined) break;
        const read = "cells" in row ? readRow(row, recording) : row;
        if (!("reason" in read)) readings.push(read);
        else if (!skipBad) refused = read;
        else {
          firstSkipped ??= read;
          skipped++;
          onSkipped(read);
        }
      }
      total += readings.length;
      if (readings.length > 0) yield readings;
      if (refused !== undefined) {
        const before = published && total > 0 ? `readings sent before it: ${total}` : "nothing was published";
        const next = "correct the row, --map, --time-format or --timezone, or give --skip-bad";
        throw invalid(`Cannot read ${path}, ${describeBadRow(refused)}; ${before}; ${next}`);
      }
      if (total >= count) return;
    }
  } catch (error) {
    if (error instanceof PipelineError) throw error;
    throw invalid(`Cannot read ${path}: ${describeError(error)}, expected a readable file`, error);
  }
  if (total > 0) return;
  const why = firstSkipped === undefined
    ? "it has no row, expected at least one reading"
    : `all ${skipped} rows were skipped, expected at least one reading; the first, ` +
      `${describeBadRow(firstSkipped)}; correct --map, --time-format or --timezone`;
  throw invalid(`Cannot publish ${path}: ${why}`);
}
