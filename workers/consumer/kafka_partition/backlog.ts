/** What one partition has fetched and not begun to write, and the memory that all partitions share for that. */
import { joinSlices, type Slice, splitSlice } from "./slice.ts";

/**
 * Memory that all partitions of this consumer share for records that are fetched and not written yet. A part of its own
 * for each would have to be too small to read well from, or be too much with hundreds of them.
 */
export interface Room {
  /** When so many are held, nobody asks for more until something is written. What is under way comes in all the same. */
  readonly bytes: number;
  held: number;
}

export interface BacklogLimits {
  /** Bytes that may wait for their write, as `Slice.bytes` counts them. */
  readonly bufferBytes: number;
  /** Records in one batch, at most. */
  readonly batchRecords: number;
  /** Bytes in one batch, about, unless its first record has more. */
  readonly batchBytes: number;
  readonly room: Room;
}

/** In the order of the log. */
export class Backlog {
  #waiting: Slice[] = [];
  #waitingBytes = 0;

  constructor(private readonly limits: BacklogLimits) {}

  get hasRoom(): boolean {
    const { bufferBytes, room } = this.limits;
    return this.#waitingBytes < bufferBytes && room.held < room.bytes;
  }

  add(slice: Slice): void {
    this.#waiting.push(slice);
    this.#waitingBytes += slice.bytes;
    this.limits.room.held += slice.bytes;
  }

  clear(): void {
    this.limits.room.held -= this.#waitingBytes;
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  /** As much of what waits as a batch may have. Its bytes are held until it is `written`. */
  takeBatch(): Slice | undefined {
    const { batchRecords, batchBytes } = this.limits;
    let count = 0;
    let records = 0;
    let bytes = 0;
    for (const slice of this.#waiting) {
      // A gap is a row too.
      const rows = slice.records.length + slice.gaps.length;
      if (count > 0 && (records + rows > batchRecords || bytes + slice.bytes > batchBytes)) break;
      records += rows;
      bytes += slice.bytes;
      count++;
    }
    const [whole, ...rest] = this.#waiting.splice(0, count);
    if (whole === undefined) return undefined;
    // Only a first stretch can be too much by itself: compressed, hundreds of thousands of records fit into one.
    const fitting = whole.bytes > batchBytes ? whole.records.countWithin(batchBytes) : batchRecords;
    const [first, remainder] = splitSlice(whole, Math.min(fitting, batchRecords));
    if (remainder !== undefined) this.#waiting.unshift(remainder);
    const batch = joinSlices([first, ...rest]);
    this.#waitingBytes -= batch.bytes;
    return batch;
  }

  /** How many records this batch would have if it was written now. */
  countWith(batch: Slice): number {
    const joining = this.#joining(batch).reduce((sum, { records }) => sum + records.length, 0);
    return Math.min(batch.records.length + joining, this.limits.batchRecords);
  }

  /** The batch and what joins it: small when quiet, large when busy. The batch itself when nothing does. */
  grow(batch: Slice): Slice {
    if (this.#joining(batch).length === 0) return batch;
    this.#waiting.unshift(batch);
    this.#waitingBytes += batch.bytes;
    return this.takeBatch() ?? batch;
  }

  /** This batch is in the database, or given up. */
  written(batch: Slice): void {
    this.limits.room.held -= batch.bytes;
  }

  /** What waits goes on behind the batch, unless we moved since. */
  #joining(batch: Slice): readonly Slice[] {
    return this.#waiting[0]?.from === batch.next ? this.#waiting : [];
  }
}
