/** A recorded file as a source of records: moved in time, and paced as it was recorded, or not. */
import { Buffer } from "node:buffer";
import { PipelineError, UsageError } from "../_shared/errors.ts";
import { isTimestamp } from "../_shared/record/instant.ts";
import type { Recording } from "./config.ts";
import { canReadTwice } from "./recording/file_bytes.ts";
import type { OutgoingRecord } from "./generate.ts";
import { unlessAborted } from "./pieces.ts";
import { beginningOf, ReadingWriter } from "./reading_writer.ts";
import { readRecording } from "./recording/recording.ts";
import type { RecordedReading } from "./recording/row.ts";
import type { SkippedRows } from "./skipped_rows.ts";

/** A file may name any number of customers; this many are a few tens of megabytes. */
const MOST_REMEMBERED = 50_000;

type Pieces = AsyncGenerator<readonly RecordedReading[], void, undefined>;

/** A recording of which something is known, and nothing is published yet. */
export interface OpenRecording {
  readonly pieces: Pieces;
  readonly firstMicros: bigint;
  /** Undefined for a pipe, which ends in its own time. */
  readonly lastMicros?: bigint;
  readonly readings?: number;
}

/**
 * Reads a whole file before anything is published, so that a bad row stops the program while nothing is half done, and
 * the number of readings and their span are known. A pipe can be read only once: it is published as it is read, after
 * its first readings arrived.
 *
 * @returns undefined when the signal aborted first
 * @throws PipelineError for a row that cannot be read, unless those are skipped, and when there is no reading
 * @throws UsageError for a pipe of which the last reading would have to be known first
 */
export async function openRecording(
  recording: Recording,
  skipped: SkippedRows,
  { signal }: { signal: AbortSignal },
): Promise<OpenRecording | undefined> {
  if (await canReadTwice(recording.path)) return await scan(recording, skipped, { signal });
  if (recording.shiftToNow && recording.speed !== 1) {
    throw new UsageError(
      `Cannot move ${recording.path} to now: it can be read only once, and its last reading is not known before; ` +
        "give --speed 1, or save it to a file",
    );
  }
  const pieces = readRecording(recording, skipped, { published: true });
  // Opening a pipe and reading it wait for whoever writes to it.
  const first = await unlessAborted(pieces.next(), signal);
  const [reading] = first?.value ?? [];
  if (first?.done !== false || reading === undefined) return undefined;
  return { pieces: following(first.value, pieces), firstMicros: reading.micros };
}

async function scan(
  recording: Recording,
  skipped: SkippedRows,
  { signal }: { signal: AbortSignal },
): Promise<OpenRecording | undefined> {
  let readings = 0;
  let firstMicros: bigint | undefined;
  let lastMicros: bigint | undefined;
  for await (const piece of readRecording(recording, skipped)) {
    readings += piece.length;
    for (const { micros } of piece) {
      if (firstMicros === undefined || micros < firstMicros) firstMicros = micros;
      if (lastMicros === undefined || micros > lastMicros) lastMicros = micros;
    }
    if (signal.aborted) return undefined;
  }
  if (firstMicros === undefined || lastMicros === undefined) return undefined;
  return {
    pieces: readRecording(recording, undefined, { published: true }),
    firstMicros,
    lastMicros,
    readings,
  };
}

async function* following(first: readonly RecordedReading[], rest: Pieces): Pieces {
  yield first;
  yield* rest;
}

/**
 * Yields the file's readings as records, many in a piece.
 *
 * Shifted to now, the first reading is at `startMicros` in real time; at any other speed it is the last, since the
 * sped-up readings would otherwise lie in the future, where a consumer rejects them.
 */
export async function* replay(
  { path, speed, shiftToNow }: Recording,
  { pieces, firstMicros, lastMicros = firstMicros }: OpenRecording,
  startMicros: number,
): AsyncGenerator<readonly OutgoingRecord[], void, undefined> {
  const shift = shiftToNow ? BigInt(startMicros) - (speed === 1 ? firstMicros : lastMicros) : 0n;
  const customers = new Customers();
  const writer = new ReadingWriter();
  for await (const piece of pieces) {
    yield piece.map(({ customerId, micros, heartRate }) => {
      const { key, beginning } = customers.find(customerId);
      if (!isTimestamp(micros + shift)) throw outOfTime(path);
      return {
        key,
        value: writer.writeExactly(beginning, micros + shift, heartRate),
        dueMicros: speed === Infinity ? undefined : startMicros + Number(micros - firstMicros) / speed,
        fault: undefined,
      };
    });
  }
}

function outOfTime(path: string): PipelineError {
  const message =
    `Cannot move ${path} to now: its readings span more years than a timestamp can say, 0001 to ` +
    "9999; publish it without --shift-to-now";
  return new PipelineError("input_invalid", message);
}

interface Customer {
  readonly key: Buffer;
  readonly beginning: Buffer;
}

/** Those that were met lately, so that their bytes need not be made for each reading. */
class Customers {
  #known = new Map<string | number, Customer>();

  find(id: string | number): Customer {
    let customer = this.#known.get(id);
    if (customer === undefined) {
      if (this.#known.size >= MOST_REMEMBERED) this.#known.clear();
      customer = { key: Buffer.from(String(id)), beginning: beginningOf(id) };
      this.#known.set(id, customer);
    }
    return customer;
  }
}
