/**
 * Folder `kafka_partition`: the fetched records, the offsets and the state of one assigned partition. The code here reaches Kafka
 * and PostgreSQL only through ports.
 */
import { joinSlices, type Slice, splitSlice } from "./slice.ts";

/** All partitions share one budget. For hundreds of them, fixed shares would be too small to fetch, or too large in total. */
export interface MemoryBudget {
  /** At this limit, no partition fetches more. Responses in flight may exceed the limit. */
  readonly maxBytes: number;
  usedBytes: number;
}

export interface BacklogLimits {
  readonly bufferBytes: number;
  readonly batchRecords: number;
  /** An approximate limit, which a single record may exceed. */
  readonly batchBytes: number;
  readonly memoryBudget: MemoryBudget;
}

/** The fetched records of one partition that wait for their write. */
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

  /** Takes as many records as fit into a batch. The memory budget counts them until the batch is {@link written}. */
  takeBatch(): Slice | undefined {
    const { batchRecords, batchBytes } = this.limits;
    let count = 0;
    let records = 0;
    let bytes = 0;
    for (const slice of this.#waiting) {
      // PostgreSQL stores a row for each gap, too.
      const rows = slice.records.length + slice.gaps.length;
      if (count > 0 && (records + rows > batchRecords || bytes + slice.bytes > batchBytes)) break;
      records += rows;
      bytes += slice.bytes;
      count++;
    }
    const [whole, ...rest] = this.#waiting.splice(0, count);
    if (whole === undefined) return undefined;
    // The first slice alone may be too large: a compressed batch can hold hundreds of thousands of records.
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

  /** @returns the batch with the waiting records that fit into it */
  grow(batch: Slice): Slice {
    if (this.#joining(batch).length === 0) return batch;
    this.#waiting.unshift(batch);
    this.#waitingBytes += batch.bytes;
    return this.takeBatch() ?? batch;
  }

  /** Call it also for an abandoned batch. */
  written(batch: Slice): void {
    this.limits.memoryBudget.usedBytes -= batch.bytes;
  }

  /** The slices that follow this batch. There are none after the partition moved to another offset. */
  #joining(batch: Slice): readonly Slice[] {
    return this.#waiting[0]?.from === batch.next ? this.#waiting : [];
  }
}
