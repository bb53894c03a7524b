/** Where the records come from: a schedule of synthetic customers, or a file. */
import type { ProducerConfig, Synthetic } from "./config.ts";
import { generate, type OutgoingRecord } from "./generate.ts";
import { onePiecewise, type Source } from "./pieces.ts";
import { replay, scanRecording } from "./replay.ts";

export interface RecordSource {
  /** Begins the schedule at this instant, microseconds since the Unix epoch. */
  readonly start: (nowMicros: number) => Source<OutgoingRecord>;
  /** Records to come, where it is known. */
  readonly expected?: number;
  /** How fast the schedule offers them, where it has a rate. */
  readonly recordsPerSecond?: number;
  /** Rows of a file that cannot be read and are skipped. */
  readonly skipped: number;
}

/**
 * Prepares the source; a file is read through once.
 *
 * @throws PipelineError when the file cannot be read
 */
export async function openSource(
  records: ProducerConfig["records"],
  { signal }: { signal: AbortSignal },
): Promise<RecordSource> {
  if (records.kind === "synthetic") return syntheticSource(records.options);
  const scan = await scanRecording(records.options, { signal });
  return {
    start: (nowMicros) => onePiecewise(replay(records.options, scan, nowMicros)),
    expected: scan.readings,
    skipped: scan.bad,
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
    skipped: 0,
    ...(expected === undefined ? {} : { expected }),
    ...(options.live ? { recordsPerSecond: 1e6 / options.spacingMicros } : {}),
  };
}
