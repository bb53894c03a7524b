/** One stretch of a partition's log, as a fetch returned it: its committed records, and the offsets without one. */
import {
  addRecords,
  createRecordTable,
  decompress,
  isAbortMarker,
  maxRecordCount,
  type PlainRecords,
  readBatches,
  type RecordBatch,
  verify,
} from "../../_shared/kafka/batch_reader.ts";
import type { FetchedPartition } from "../../_shared/kafka/fetcher.ts";
import { type Offset, type RecordRange, Records, RecordTable } from "../../_shared/kafka/records.ts";

/** Offsets from (inclusive) to (exclusive) without a committed record. */
export interface Gap {
  readonly from: Offset;
  readonly to: Offset;
  /** A transaction's marker, an aborted transaction, compaction, or where the log begins (retention, DeleteRecords). */
  readonly cause: "control" | "aborted" | "compacted" | "log_start";
}

/** The protocol's number for "not known": nothing is compared then. */
export const UNKNOWN_EPOCH = -1;

/** A stretch of one log. Every offset in [from, next) is a record's or lies in a gap. */
export interface Slice {
  readonly from: Offset;
  readonly next: Offset;
  readonly records: Records;
  readonly gaps: readonly Gap[];
  /** Of the leader that took the last record; -1 when that is not known. */
  readonly leaderEpoch: number;
  /** Memory that the slice holds, about. */
  readonly bytes: number;
  /** Tables over memory of their own, to be released when this slice is written. */
  readonly own: readonly RecordTable[];
}

/** A batch that grows until its transaction begins. */
export interface OpenBatch {
  count(): number;
  /** No more records join it. */
  close(): Slice;
}

/** Beyond this, the slice ends behind the present batch, and the rest is fetched again. */
const MOST_DECOMPRESSED_BYTES = 8 * 1024 * 1024;
const GAP_BYTES = 100;

/** Puts records and gaps together in the order of the log. Offsets between two records are a gap. */
class SliceBuilder {
  readonly #ranges: RecordRange[] = [];
  readonly gaps: Gap[] = [];
  next: Offset;
  leaderEpoch = UNKNOWN_EPOCH;

  constructor(readonly from: Offset) {
    this.next = from;
  }

  /** @returns whether all of its records were added */
  add(batch: RecordBatch, table: RecordTable, plain: PlainRecords): boolean {
    const from = table.length;
    try {
      const onRecord = (offset: Offset) => {
        this.skipTo(offset, "compacted");
        this.next = offset + 1;
      };
      return addRecords(table, batch, plain, { from: this.from, onRecord });
    } finally {
      if (table.length > from) this.leaderEpoch = batch.leaderEpoch;
      this.#ranges.push({ table, from, to: table.length });
    }
  }

  skipTo(offset: Offset, cause: Gap["cause"]): void {
    if (offset <= this.next) return;
    const last = this.gaps.at(-1);
    const continues = last !== undefined && last.to === this.next && last.cause === cause;
    if (continues) this.gaps.pop();
    this.gaps.push({ from: continues ? last.from : this.next, to: offset, cause });
    this.next = offset;
  }

  /** @throws Error when records and gaps do not add up: a bug is reported here, and not by the database's CHECK */
  finish(together?: RecordTable): Slice {
    const records = new Records(this.#ranges);
    const gone = this.gaps.reduce((sum, { from, to }) => sum + to - from, 0);
    if (records.length + gone !== this.next - this.from) {
      throw new Error(
        `offsets ${this.from} to ${this.next} are ${records.length} records and ${gone} in gaps, ` +
          `expected ${this.next - this.from} together`,
      );
    }
    const tables = [...new Set(this.#ranges.map(({ table }) => table))];
    return {
      from: this.from,
      next: this.next,
      records,
      gaps: this.gaps,
      leaderEpoch: this.leaderEpoch,
      bytes: tables.reduce((sum, { memoryBytes }) => sum + memoryBytes, this.gaps.length * GAP_BYTES),
      own: tables.filter((table) => table !== together),
    };
  }
}

/**
 * Reads a partition's part of a fetch response, committed records only.
 *
 * Like the Java client, it uses the list of aborted transactions that comes with the records, since the marker that aborts
 * them may lie beyond this response.
 *
 * @param from the offset that was fetched; a batch may begin before it, and its earlier records are left out
 * @returns all records before the first batch that cannot be read, or that would be too much
 * @throws RangeError when the first batch cannot be read
 */
export function sliceOf(partition: FetchedPartition, from: Offset): Slice {
  const { records: sent } = partition;
  const slice = new SliceBuilder(from);
  const aborted = [...partition.abortedTransactions].sort((a, b) => a.firstOffset - b.firstOffset);
  const aborting = new Set<bigint>();
  const batches = readBatches(sent);
  // Uncompressed batches lie in one piece of memory, so one table holds them.
  const plain = batches.reduce(
    (sum, batch) => sum + (batch.compression === 0 ? maxRecordCount(batch, sent.length) : 0),
    0,
  );
  const together = new RecordTable(sent, plain);
  let decompressed = 0;
  /** @returns whether to go on with the batch behind it */
  const read = (batch: RecordBatch): boolean => {
    const { firstOffset: first, endOffset: end } = batch;
    // The checksum does not cover a batch's offset. Where the log seems to go back, the next fetch shows what is there.
    if (slice.next > from && first < slice.next) return false;
    verify(batch, sent);
    for (let next = aborted[0]; next !== undefined && next.firstOffset < end; next = aborted[0]) {
      aborting.add(next.producerId);
      aborted.shift();
    }
    if (batch.isControl || (batch.isTransactional && aborting.has(batch.producerId))) {
      if (batch.isControl && isAbortMarker(batch, sent)) aborting.delete(batch.producerId);
      // Missing offsets before the batch were compacted away.
      slice.skipTo(first, "compacted");
      slice.skipTo(end, batch.isControl ? "control" : "aborted");
    } else {
      const plain = decompress(batch, sent);
      const table = plain.bytes === sent ? together : createRecordTable(batch, plain.bytes);
      if (!slice.add(batch, table, plain)) return false;
      // Compaction keeps a batch's last offset although the record that had it is gone.
      slice.skipTo(end, "compacted");
      if (table !== together) decompressed += table.memoryBytes;
    }
    // It may be later than that of an earlier record, never earlier.
    slice.leaderEpoch = batch.leaderEpoch;
    return decompressed < MOST_DECOMPRESSED_BYTES;
  };
  try {
    batches.every(read);
  } catch (error) {
    if (slice.next === from) throw error;
  }
  return slice.finish(together);
}

/**
 * Splits a slice so that the first part has `count` records, and the gaps before the cut. The second part owns all memory:
 * none of it is free while the second part waits.
 */
export function splitSlice(slice: Slice, count: number): [Slice, Slice] | [Slice] {
  const cut = slice.records.at(count);
  if (cut === undefined) return [slice];
  const part = (from: Offset, next: Offset, records: Records): Slice => {
    const gaps = slice.gaps.filter((gap) => gap.from >= from && gap.to <= next);
    return { ...slice, from, next, records, gaps };
  };
  return [
    { ...part(slice.from, cut.offset, slice.records.slice(0, count)), bytes: 0, own: [] },
    part(cut.offset, slice.next, slice.records.slice(count)),
  ];
}

export function gapSlice(from: Offset, next: Offset, cause: Gap["cause"]): Slice {
  const slice = new SliceBuilder(from);
  slice.skipTo(next, cause);
  return slice.finish();
}

export function joinSlices(neighbours: readonly [Slice, ...Slice[]]): Slice {
  const [first] = neighbours;
  if (neighbours.length === 1) return first;
  const last = neighbours.at(-1) ?? first;
  return {
    ...last,
    from: first.from,
    records: new Records(neighbours.flatMap(({ records }) => records.ranges)),
    gaps: neighbours.flatMap(({ gaps }) => gaps),
    bytes: neighbours.reduce((sum, { bytes }) => sum + bytes, 0),
    own: neighbours.flatMap(({ own }) => own),
  };
}

/** Releases the memory of a written slice; its records cannot be read any more. */
export function release({ own }: Slice): void {
  for (const table of own) table.release();
}
