/**
 * Folder `kafka_partition`: one assigned partition of the topic, its fetched records, how far it is written, and its state.
 * It never asks Kafka or PostgreSQL itself: it is told their answers, and calls its ports.
 *
 * This file: the fetched records of one partition that wait for their write, and the memory that all partitions share for them.
 */
import { joinSlices, type Slice, splitSlice } from "./slice.ts";

/**
 * The memory budget of all partitions for records that are not written yet. A fixed share for each would be too small to read
 * efficiently, or too much with hundreds of partitions.
 */
export interface MemoryBudget {
  /** At this limit no partition fetches more. Answers in flight are still taken. */
  readonly maxBytes: number;
  usedBytes: number;
}

export interface BacklogLimits {
  /** Bytes of this partition that may wait. */
  readonly bufferBytes: number;
  readonly batchRecords: number;
  /** About; a single record may have more. */
  readonly batchBytes: number;
  readonly memoryBudget: MemoryBudget;
}

export class Backlog {
  #waiting: Slice[] = [];
  #waitingBytes = 0;

  constructor(private readonly limits: BacklogLimits) {}

  get isBelowLimits(): boolean {
    const { bufferBytes, memoryBudget } = this.limits;
    return this.#waitingBytes < bufferBytes && memoryBudget.usedBytes < memoryBudget.maxBytes;
  }

  add(slice: Slice): void {
    this.#waiting.push(slice);
    this.#waitingBytes += slice.bytes;
    this.limits.memoryBudget.usedBytes += slice.bytes;
  }

  clear(): void {
    this.limits.memoryBudget.usedBytes -= this.#waitingBytes;
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  /** As many of the waiting records as fit into a batch. Its bytes are held until it is `written`. */
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
    // A first slice may be too much by itself: compressed, it may have hundreds of thousands of records.
    const fitting = whole.bytes > batchBytes ? whole.records.countWithin(batchBytes) : batchRecords;
    const [first, remainder] = splitSlice(whole, Math.min(fitting, batchRecords));
    if (remainder !== undefined) this.#waiting.unshift(remainder);
    const batch = joinSlices([first, ...rest]);
    this.#waitingBytes -= batch.bytes;
    return batch;
  }

  countWith(batch: Slice): number {
    const joining = this.#joining(batch).reduce((sum, { records }) => sum + records.length, 0);
    return Math.min(batch.records.length + joining, this.limits.batchRecords);
  }

  /** The batch with the waiting records that join it; the batch itself when there are none. */
  grow(batch: Slice): Slice {
    if (this.#joining(batch).length === 0) return batch;
    this.#waiting.unshift(batch);
    this.#waitingBytes += batch.bytes;
    return this.takeBatch() ?? batch;
  }

  /** The batch was stored or abandoned. */
  written(batch: Slice): void {
    this.limits.memoryBudget.usedBytes -= batch.bytes;
  }

  /** Waiting slices that directly follow this batch: there are none after the partition moved to another offset. */
  #joining(batch: Slice): readonly Slice[] {
    return this.#waiting[0]?.from === batch.next ? this.#waiting : [];
  }
}
