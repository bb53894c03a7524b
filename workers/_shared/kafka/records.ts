/** Records in columns over the bytes that Kafka sent, without an object for each record. */
import type { Buffer } from "node:buffer";

/** Kafka's offsets have 64 bits, but no log reaches 2^53. At a million records a second, that takes 285 years. */
export type Offset = number;

export type RawRecord = Readonly<ReturnType<RecordTable["record"]>>;

const BYTES_PER_RECORD = 2 * Float64Array.BYTES_PER_ELEMENT + 4 * Int32Array.BYTES_PER_ELEMENT;
/** The approximate size of the objects around the columns. */
const TABLE_OVERHEAD_BYTES = 1_000;

/** Small buffers may share their memory with others, so they are left to the garbage collector. */
const MIN_RELEASED_BYTES = 1024 * 1024;

export class RecordTable {
  readonly valueStart: Int32Array;
  readonly valueLength: Int32Array;
  readonly #offset: Float64Array;
  /** Since the Unix epoch. The topic's settings decide whether the time is the producer's or the broker's. */
  readonly #timestampMs: Float64Array;
  readonly #keyStart: Int32Array;
  readonly #keyLength: Int32Array;
  length = 0;

  constructor(readonly bytes: Buffer, readonly capacity: number) {
    this.#offset = new Float64Array(capacity);
    this.#timestampMs = new Float64Array(capacity);
    this.#keyStart = new Int32Array(capacity);
    this.#keyLength = new Int32Array(capacity);
    this.valueStart = new Int32Array(capacity);
    this.valueLength = new Int32Array(capacity);
  }

  get memoryBytes(): number {
    return TABLE_OVERHEAD_BYTES + this.bytes.length + this.capacity * BYTES_PER_RECORD;
  }

  // deno-lint-ignore house/max-parameters -- an object for each record would cost more than the record
  add(
    offset: Offset,
    timestampMs: number,
    keyStart: number,
    keyLength: number,
    valueStart: number,
    valueLength: number,
  ): void {
    const row = this.length++;
    this.#offset[row] = offset;
    this.#timestampMs[row] = timestampMs;
    this.#keyStart[row] = keyStart;
    this.#keyLength[row] = keyLength;
    this.valueStart[row] = valueStart;
    this.valueLength[row] = valueLength;
  }

  /** Frees the bytes, which the caller must own. Otherwise tens of megabytes could gather before a garbage collection. */
  release(): void {
    const { buffer } = this.bytes;
    if (buffer instanceof ArrayBuffer && buffer.byteLength >= MIN_RELEASED_BYTES) buffer.transfer(0);
  }

  /** A view, not a copy. Null for a tombstone. */
  value(row: number): Buffer | null {
    return this.#part(this.valueStart[row], this.valueLength[row]);
  }

  /** Makes an object, so it is only for the few records that are used one by one. */
  record(row: number) {
    const offset = this.#offset[row];
    const timestampMs = this.#timestampMs[row];
    if (row >= this.length || offset === undefined || timestampMs === undefined) {
      throw new RangeError(`there is no record ${row} of ${this.length}`);
    }
    const key: Uint8Array | null = this.#part(this.#keyStart[row], this.#keyLength[row]);
    const value: Uint8Array | null = this.#part(this.valueStart[row], this.valueLength[row]);
    return { offset, timestampMs, key, value };
  }

  #part(start = 0, length = -1): Buffer | null {
    return length === -1 ? null : this.bytes.subarray(start, start + length);
  }
}

/** Rows from `from` up to, but not including, `to`. */
export interface RecordRange {
  readonly table: RecordTable;
  readonly from: number;
  readonly to: number;
}

/** Records in the order of the log, in one or several tables. */
export class Records {
  readonly ranges: readonly RecordRange[];
  readonly length: number;

  constructor(ranges: readonly RecordRange[]) {
    const merged: RecordRange[] = [];
    for (const { table, from, to } of ranges) {
      // slice() makes such ranges.
      if (to <= from) continue;
      const last = merged.at(-1);
      if (last?.table === table && last.to === from) merged.splice(-1, 1, { ...last, to });
      else merged.push({ table, from, to });
    }
    this.ranges = merged;
    this.length = merged.reduce((sum, { from, to }) => sum + to - from, 0);
  }

  at(index: number): RawRecord | undefined {
    let rest = index < 0 ? this.length + index : index;
    for (const { table, from, to } of this.ranges) {
      if (rest < to - from) return rest < 0 ? undefined : table.record(from + rest);
      rest -= to - from;
    }
    return undefined;
  }

  /** Returns how many records from the start have values of at most `bytes` in total, but at least 1. */
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

  slice(from: number, to: number = this.length): Records {
    let before = 0;
    return new Records(this.ranges.map((range) => {
      const first = range.from - before;
      before += range.to - range.from;
      return { ...range, from: Math.max(range.from, first + from), to: Math.min(range.to, first + to) };
    }));
  }
}
