/** Makes a source of records from a recording, which can be moved in time and paced as it was recorded. */
import { Buffer } from "node:buffer";
import { UsageError } from "../_shared/errors.ts";
import { isTimestamp } from "../_shared/record/instant.ts";
import type { RecordSource } from "./publish/records.ts";
import { readingPrefix, ReadingWriter } from "./reading_writer.ts";
import { canReadTwice, prepend } from "./recording/file_bytes.ts";
import { type ReadingChunks, readRecording } from "./recording/recording.ts";
import { type BadRow, invalid, type Recording } from "./recording/row.ts";

/** Limits the cache to a few tens of megabytes, because a file may name any number of customers. */
const MAX_CACHED_CUSTOMERS = 50_000;

/**
 * Reads a whole file before anything is published, so that a bad row stops the program in time, and the number of readings and
 * their time span are known. A pipe can be read only once, so its readings are published while they arrive.
 *
 * @returns undefined if the signal aborted first
 * @throws PipelineError for a bad row if `skipBad` is false, and for a recording without any reading
 * @throws UsageError for a pipe whose last reading must be known in advance
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
        `Cannot move ${path} to now: it can be read only once, so its last reading is not known in advance; ` +
          "give --speed 1, or save it to a file",
      );
    }
    const chunks = readRecording(recording, onSkipped, { published: true });
    const { value } = await chunks.next();
    const micros = value?.[0]?.micros;
    if (value === undefined || micros === undefined) return undefined;
    return { start: replay(recording, prepend(value, chunks), micros, micros), expected: count };
  }
  let readings = 0;
  let firstMicros: bigint | undefined;
  let lastMicros: bigint | undefined;
  for await (const chunk of readRecording(recording, onSkipped, { published: false })) {
    readings += chunk.length;
    for (const { micros } of chunk) {
      if (firstMicros === undefined || micros < firstMicros) firstMicros = micros;
      if (lastMicros === undefined || micros > lastMicros) lastMicros = micros;
    }
    if (signal.aborted) return undefined;
  }
  if (firstMicros === undefined || lastMicros === undefined) return undefined;
  // The first pass has already reported the skipped rows.
  const secondPass = readRecording(recording, () => {}, { published: true });
  return { start: replay(recording, secondPass, firstMicros, lastMicros), expected: readings };
}

function replay(
  { path, speed, shiftToNow }: Recording,
  chunks: ReadingChunks,
  firstMicros: bigint,
  lastMicros: bigint,
): RecordSource["start"] {
  return async function* (startMicros) {
    // With real time, the first reading moves to now. With any other speed, the last one does. Otherwise readings would lie in the
    // future, and the consumer would reject them.
    const shift = shiftToNow ? BigInt(startMicros) - (speed === 1 ? firstMicros : lastMicros) : 0n;
    const customers = new Map<string | number, { readonly key: Buffer; readonly prefix: Buffer }>();
    const writer = new ReadingWriter();
    for await (const chunk of chunks) {
      yield chunk.map(({ customerId, micros, heartRate }) => {
        let customer = customers.get(customerId);
        if (customer === undefined) {
          if (customers.size >= MAX_CACHED_CUSTOMERS) customers.clear();
          customer = { key: Buffer.from(String(customerId)), prefix: readingPrefix(customerId) };
          customers.set(customerId, customer);
        }
        if (!isTimestamp(micros + shift)) {
          const why = "its readings span more years than timestamps allow (0001 to 9999)";
          throw invalid(`Cannot move ${path} to now: ${why}; publish it without --shift-to-now`);
        }
        return {
          key: customer.key,
          value: writer.writeExactly(customer.prefix, micros + shift, heartRate),
          dueMicros: speed === Infinity ? undefined : startMicros + Number(micros - firstMicros) / speed,
          fault: undefined,
        };
      });
    }
  };
}
