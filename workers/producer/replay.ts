/** A recorded file as a source of records: moved in time, and paced as it was recorded, or not. */
import { Buffer } from "node:buffer";
import { UsageError } from "../_shared/errors.ts";
import { isTimestamp } from "../_shared/record/instant.ts";
import type { RecordSource } from "./publish/records.ts";
import { beginningOf, ReadingWriter } from "./reading_writer.ts";
import { canReadTwice, following } from "./recording/file_bytes.ts";
import { type Pieces, readRecording } from "./recording/recording.ts";
import { type BadRow, invalid, type Recording } from "./recording/row.ts";

/** A file may name any number of customers; this many are a few tens of megabytes. */
const MOST_REMEMBERED = 50_000;

/**
 * Reads a whole file before anything is published, so that a bad row stops the program while nothing is half done, and
 * the number of readings and their span are known. A pipe can be read only once: it is published as it is read, after
 * its first readings arrived, however long that takes.
 *
 * @param onSkipped hears of each row that is skipped
 * @returns undefined when the signal aborted first
 * @throws PipelineError for a row that cannot be read, unless those are skipped, and when there is no reading
 * @throws UsageError for a pipe of which the last reading would have to be known first
 */
export async function openRecording(
  recording: Recording,
  onSkipped: (bad: BadRow) => void,
  { signal }: { signal: AbortSignal },
): Promise<RecordSource | undefined> {
  const { path, shiftToNow, speed, count } = recording;
  if (!await canReadTwice(path)) {
    if (shiftToNow && speed !== 1) {
      throw new UsageError(
        `Cannot move ${path} to now: it can be read only once, and its last reading is not known before; ` +
          "give --speed 1, or save it to a file",
      );
    }
    const pieces = readRecording(recording, onSkipped, { published: true });
    const { value } = await pieces.next();
    const micros = value?.[0]?.micros;
    if (value === undefined || micros === undefined) return undefined;
    return { start: replay(recording, following(value, pieces), micros, micros), expected: count };
  }
  let readings = 0;
  let firstMicros: bigint | undefined;
  let lastMicros: bigint | undefined;
  for await (const piece of readRecording(recording, onSkipped, { published: false })) {
    readings += piece.length;
    for (const { micros } of piece) {
      if (firstMicros === undefined || micros < firstMicros) firstMicros = micros;
      if (lastMicros === undefined || micros > lastMicros) lastMicros = micros;
    }
    if (signal.aborted) return undefined;
  }
  if (firstMicros === undefined || lastMicros === undefined) return undefined;
  // What is skipped was told the first time.
  const again = readRecording(recording, () => {}, { published: true });
  return { start: replay(recording, again, firstMicros, lastMicros), expected: readings };
}

/**
 * Gives the file's readings as records, many in a piece.
 *
 * Shifted to now, the first reading is at `startMicros` in real time; at any other speed it is the last, since the
 * sped-up readings would otherwise lie in the future, where a consumer rejects them.
 */
function replay(
  { path, speed, shiftToNow }: Recording,
  pieces: Pieces,
  firstMicros: bigint,
  lastMicros: bigint,
): RecordSource["start"] {
  return async function* (startMicros) {
    const shift = shiftToNow ? BigInt(startMicros) - (speed === 1 ? firstMicros : lastMicros) : 0n;
    /** Those that were met lately, so that their bytes need not be made for each reading. */
    const customers = new Map<string | number, { readonly key: Buffer; readonly beginning: Buffer }>();
    const writer = new ReadingWriter();
    for await (const piece of pieces) {
      yield piece.map(({ customerId, micros, heartRate }) => {
        let customer = customers.get(customerId);
        if (customer === undefined) {
          if (customers.size >= MOST_REMEMBERED) customers.clear();
          customer = { key: Buffer.from(String(customerId)), beginning: beginningOf(customerId) };
          customers.set(customerId, customer);
        }
        if (!isTimestamp(micros + shift)) {
          const why = "its readings span more years than a timestamp can say, 0001 to 9999";
          throw invalid(`Cannot move ${path} to now: ${why}; publish it without --shift-to-now`);
        }
        return {
          key: customer.key,
          value: writer.writeExactly(customer.beginning, micros + shift, heartRate),
          dueMicros: speed === Infinity ? undefined : startMicros + Number(micros - firstMicros) / speed,
          fault: undefined,
        };
      });
    }
  };
}
