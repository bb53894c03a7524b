/** Where the records come from: a schedule of synthetic customers, or a file. */
import type { ProducerConfig, Synthetic } from "./config.ts";
import { generate, type OutgoingRecord } from "./generate.ts";
import { onePiecewise, type Source } from "./pieces.ts";
import { openRecording, replay } from "./replay.ts";
import type { BadRow } from "./recording/row.ts";
import { SkippedRows } from "./skipped_rows.ts";

export interface RecordSource {
  /** Begins the schedule at this instant, microseconds since the Unix epoch. */
  readonly start: (nowMicros: number) => Source<OutgoingRecord>;
  /** Records to come, where it is known. */
  readonly expected?: number;
  /** How fast the schedule offers them, where it has a rate. */
  readonly recordsPerSecond?: number;
  /** Rows of a file that cannot be read; of a pipe there may be more to come. */
  readonly skipped: SkippedRows;
}

/**
 * Prepares the source: a file is read through once, of a pipe the first readings are awaited.
 *
 * @param onSkipped hears of the first rows that are skipped
 * @returns undefined when the signal aborted first
 * @throws PipelineError when the file cannot be read or has no reading
 */
export async function openSource(
  records: ProducerConfig["records"],
  onSkipped: (bad: BadRow) => void,
  { signal }: { signal: AbortSignal },
): Promise<RecordSource | undefined> {
  if (records.kind === "synthetic") return syntheticSource(records.options);
  const skipped = new SkippedRows(onSkipped);
  const opened = await openRecording(records.options, skipped, { signal });
  if (opened === undefined) return undefined;
  const expected = opened.readings ?? records.options.count;
  return {
    start: (nowMicros) => onePiecewise(replay(records.options, opened, nowMicros)),
    ...(expected === undefined ? {} : { expected }),
    skipped,
  };
}

function syntheticSource(options: Synthetic): RecordSource {
  const { durationMicros, expected, startMicros } = options;
  return {
    start: (nowMicros) => {
      // On the millisecond: nobody's device reports a fraction of one.
      const from = startMicros ?? Math.ceil(nowMicros / 1000) * 1000;
      const until = durationMicros === undefined ? {} : { endMicros: from + durationMicros };
      return generate({ ...options, ...until, startMicros: from });
    },
    skipped: new SkippedRows(),
    ...(expected === undefined ? {} : { expected }),
    ...(options.live ? { recordsPerSecond: 1e6 / options.spacingMicros } : {}),
  };
}
