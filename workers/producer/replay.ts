/** A recorded file as a source of records: moved in time, and paced as it was recorded, or not. */
import { Buffer } from "node:buffer";
import type { Recording } from "./config.ts";
import type { OutgoingRecord } from "./generate.ts";
import { beginningOf, ReadingWriter } from "./reading_writer.ts";
import { readRecording } from "./recording.ts";

/** A file may name any number of customers; this many are a few tens of megabytes. */
const MOST_REMEMBERED = 50_000;

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
  for await (const piece of readRecording(recording, () => bad++)) {
    readings += piece.length;
    for (const { micros } of piece) {
      firstMicros = Math.min(firstMicros, micros);
      lastMicros = Math.max(lastMicros, micros);
    }
    if (signal.aborted) break;
  }
  return { readings, bad, firstMicros, lastMicros };
}

/**
 * Yields the file's readings as records, many in a piece.
 *
 * Shifted to now, the first reading is at `startMicros` in real time; at any other speed it is the last, since the
 * sped-up readings would otherwise lie in the future, where a consumer rejects them.
 */
export async function* replay(
  recording: Recording,
  { firstMicros, lastMicros }: Scan,
  startMicros: number,
): AsyncGenerator<readonly OutgoingRecord[], void, undefined> {
  const { speed, shiftToNow } = recording;
  const shift = shiftToNow ? startMicros - (speed === 1 ? firstMicros : lastMicros) : 0;
  const customers = new Customers();
  const writer = new ReadingWriter();
  for await (const piece of readRecording(recording)) {
    yield piece.map(({ customerId, micros, heartRate }) => {
      const { key, beginning } = customers.find(customerId);
      return {
        key,
        value: writer.write(beginning, micros + shift, heartRate),
        dueMicros: speed === Infinity ? undefined : startMicros + (micros - firstMicros) / speed,
        fault: undefined,
      };
    });
  }
}

interface Customer {
  readonly key: Buffer;
  readonly beginning: Buffer;
}

/** Those that were met lately, so that their bytes need not be made for each reading. */
class Customers {
  #known = new Map<string, Customer>();

  find(id: string): Customer {
    let customer = this.#known.get(id);
    if (customer === undefined) {
      if (this.#known.size >= MOST_REMEMBERED) this.#known.clear();
      customer = { key: Buffer.from(id), beginning: beginningOf(id) };
      this.#known.set(id, customer);
    }
    return customer;
  }
}
