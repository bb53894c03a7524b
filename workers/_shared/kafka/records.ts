/** Records as they lie in the bytes that Kafka sent: where each begins and ends, and no object for any of them. */
import type { Buffer } from "node:buffer";

/** Kafka offsets are 64-bit, yet no log comes near 2^53 (at a million records a second it takes 285 years). */
export type Offset = number;

/** One record by itself, for those few that are looked at one by one. */
export type RawRecord = Readonly<ReturnType<RecordTable["record"]>>;

const BYTES_A_RECORD = 2 * Float64Array.BYTES_PER_ELEMENT + 4 * Int32Array.BYTES_PER_ELEMENT;
/** The columns themselves and what the runtime needs around them. */
const TABLE_OVERHEAD_BYTES = 1_000;

/** Less is left to the garbage collector. No smaller than what buffers share: that is not ours alone. */
const RELEASED_FROM_BYTES = 1024 * 1024;

/** The records of one stretch of memory, in the order of the log. */
export class RecordTable {
  readonly valueStart: Int32Array;
  readonly valueLength: Int32Array;
  readonly #offset: Float64Array;
  /** When the producer made it or the broker took it, as the topic is configured; since the Unix epoch. */
  readonly #timestampMs: Float64Array;
  readonly #keyAt: Int32Array;
  readonly #keyLength: Int32Array;
  length = 0;

  /** @param capacity how many records will be added, at most */
  constructor(readonly bytes: Buffer, readonly capacity: number) {
    this.#offset = new Float64Array(capacity);
    this.#timestampMs = new Float64Array(capacity);
    this.#keyAt = new Int32Array(capacity);
    this.#keyLength = new Int32Array(capacity);
    this.valueStart = new Int32Array(capacity);
    this.valueLength = new Int32Array(capacity);
  }

  /** Memory that it holds, about. */
  get memoryBytes(): number {
    return TABLE_OVERHEAD_BYTES + this.bytes.length + this.capacity * BYTES_A_RECORD;
  }

  // deno-lint-ignore house/max-parameters -- an object for each record would cost more than the record
  add(
    offset: Offset,
    timestampMs: number,
    keyAt: number,
    keyLength: number,
    valueAt: number,
    valueLength: number,
  ): void {
    const row = this.length++;
    this.#offset[row] = offset;
    this.#timestampMs[row] = timestampMs;
    this.#keyAt[row] = keyAt;
    this.#keyLength[row] = keyLength;
    this.valueStart[row] = valueAt;
    this.valueLength[row] = valueLength;
  }

  /** Frees the bytes at once, for they are nobody else's: the garbage collector would let tens of megabytes gather. */
  release(): void {
    const { buffer } = this.bytes;
    if (buffer instanceof ArrayBuffer && buffer.byteLength >= RELEASED_FROM_BYTES) buffer.transfer(0);
  }

  /** The value's bytes, not copied; null for a tombstone. */
  value(row: number): Buffer | null {
    return this.#part(this.valueStart[row], this.valueLength[row]);
  }

  /** @throws RangeError when there is no such row */
  record(row: number) {
    const offset = this.#offset[row];
    const timestampMs = this.#timestampMs[row];
    if (row >= this.length || offset === undefined || timestampMs === undefined) {
      throw new RangeError(`there is no record ${row} of ${this.length}`);
    }
    const key: Uint8Array | null = this.#part(this.#keyAt[row], this.#keyLength[row]);
    const value: Uint8Array | null = this.#part(this.valueStart[row], this.valueLength[row]);
    return { offset, timestampMs, key, value };
  }

  /** @param length -1 stands for null */
  #part(at = 0, length = -1): Buffer | null {
    return length === -1 ? null : this.bytes.subarray(at, at + length);
  }
}

/** Rows [from, to) of a table. */
export interface RecordRange {
  readonly table: RecordTable;
  readonly from: number;
  readonly to: number;
}

/** Records in the order of the log, wherever they lie. */
export class Records {
  readonly ranges: readonly RecordRange[];
  readonly length: number;

  constructor(ranges: readonly RecordRange[]) {
    const merged: RecordRange[] = [];
    for (const { table, from, to } of ranges) {
      // What a cut left nothing of: its ends may lie the wrong way round.
      if (to <= from) continue;
      const last = merged.at(-1);
      // Many small batches that lie in one table are one range.
      if (last?.table === table && last.to === from) merged.splice(-1, 1, { ...last, to });
      else merged.push({ table, from, to });
    }
    this.ranges = merged;
    this.length = merged.reduce((sum, { from, to }) => sum + to - from, 0);
  }

  /** The record at this place, counted from the end when it is negative, as an array's `at`. */
  at(index: number): RawRecord | undefined {
    let rest = index < 0 ? this.length + index : index;
    for (const { table, from, to } of this.ranges) {
      if (rest < to - from) return rest < 0 ? undefined : table.record(from + rest);
      rest -= to - from;
    }
    return undefined;
  }

  /** How many of the first have values of so many bytes together; at least one. */
  countWithin(bytes: number): number {
    let count = 0;
    let sum = 0;
    for (const { table, from, to } of this.ranges) {
      for (let row = from; row < to; row++) {
        sum += Math.max(0, table.valueLength[row] ?? 0);
        if (sum > bytes) return Math.max(1, count);
        count++;
      }
    }
    return Math.max(1, count);
  }

  /** The records [from, to); nothing is copied. */
  slice(from: number, to: number = this.length): Records {
    let before = 0;
    return new Records(this.ranges.map((range) => {
      const first = range.from - before;
      before += range.to - range.from;
      return { ...range, from: Math.max(range.from, first + from), to: Math.min(range.to, first + to) };
    }));
  }
}
