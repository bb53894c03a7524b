/** A recorded file as a source of records: moved in time, and paced as it was recorded, or not. */
import { Buffer } from "node:buffer";
import type { Recording } from "./config.ts";
import { encodeReading } from "./faults.ts";
import type { OutgoingRecord } from "./generate.ts";
import { formatInstant } from "./clock.ts";
import { readRecording } from "./recording.ts";

export interface Scan {
  readonly readings: number;
  /** Rows that cannot be read and are skipped. */
  readonly bad: number;
  readonly firstMicros: number;
  readonly lastMicros: number;
}

/**
 * Reads the whole file before anything is published, so that a bad row stops the program while nothing is half done,
 * and the number of readings and their span are known.
 *
 * @throws PipelineError for a row that cannot be read, unless those are skipped
 */
export async function scanRecording(
  recording: Recording,
  { signal }: { signal: AbortSignal },
): Promise<Scan> {
  let readings = 0;
  let bad = 0;
  let firstMicros = Infinity;
  let lastMicros = -Infinity;
  for await (const { micros } of readRecording(recording, () => bad++)) {
    readings++;
    firstMicros = Math.min(firstMicros, micros);
    lastMicros = Math.max(lastMicros, micros);
    if (signal.aborted) break;
  }
  return { readings, bad, firstMicros, lastMicros };
}

/**
 * Yields the file's readings as records.
 *
 * Shifted to now, the first reading is at `startMicros` in real time; at any other speed it is the last, since the
 * sped-up readings would otherwise lie in the future, where a consumer rejects them.
 */
export async function* replay(
  recording: Recording,
  { firstMicros, lastMicros }: Scan,
  startMicros: number,
): AsyncGenerator<OutgoingRecord, void, undefined> {
  const { speed, shiftToNow } = recording;
  const shift = shiftToNow ? startMicros - (speed === 1 ? firstMicros : lastMicros) : 0;
  for await (const { customerId, micros, heartRate } of readRecording(recording)) {
    const timestamp = formatInstant(micros + shift);
    const record = {
      key: Buffer.from(customerId),
      value: encodeReading({ customerId, timestamp, heartRate }),
    };
    yield speed === Infinity
      ? record
      : { ...record, dueMicros: startMicros + (micros - firstMicros) / speed };
  }
}
