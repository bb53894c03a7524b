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

/** Offsets [from, to) without a record for the consumer. */
export interface Gap {
  readonly from: Offset;
  readonly to: Offset;
  /** `control`: a transaction marker. `log_start`: retention or DeleteRecords. */
  readonly cause: "control" | "aborted" | "compacted" | "log_start";
}

/** In a fetch request, tells the broker to compare nothing. */
export const UNKNOWN_EPOCH = -1;

/** Part of a log: each offset in [from, next) belongs to a record or lies in a gap. */
export interface Slice {
  readonly from: Offset;
  readonly next: Offset;
  readonly records: Records;
  readonly gaps: readonly Gap[];
  /** Epoch of the leader that appended the last record; -1 when it is not known. */
  readonly leaderEpoch: number;
  readonly bytes: number;
  /** Tables whose memory no other slice uses. */
  readonly ownTables: readonly RecordTable[];
}

/** A batch to which records are added until its transaction begins. */
export interface OpenBatch {
  count(): number;
  close(): Slice;
}

/** A slice ends after the record batch that exceeds this limit. The rest is fetched again. */
const MOST_DECOMPRESSED_BYTES = 8 * 1024 * 1024;
const GAP_BYTES = 100;

class SliceBuilder {
  readonly #ranges: RecordRange[] = [];
  readonly gaps: Gap[] = [];
  next: Offset;
  leaderEpoch = UNKNOWN_EPOCH;

  constructor(readonly from: Offset) {
    this.next = from;
  }

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

  /** @throws Error when records and gaps do not add up, which would otherwise fail later, in a CHECK of the ledger */
  finish(plainTable?: RecordTable): Slice {
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
      ownTables: tables.filter((table) => table !== plainTable),
    };
  }
}

/**
 * Reads the committed records of one partition from a fetch response. Like the Java client, it uses the response's list of aborted
 * transactions, because the marker that aborts a transaction may come after the response.
 *
 * @param from the offset of the fetch; the first batch may begin earlier, and its earlier records are left out
 * @returns the records before the first batch that is corrupt, or that exceeds the memory limit
 * @throws RangeError when the first batch is corrupt
 */
export function sliceOf(partition: FetchedPartition, from: Offset): Slice {
  const { records: sent } = partition;
  const slice = new SliceBuilder(from);
  const aborted = [...partition.abortedTransactions].sort((a, b) => a.firstOffset - b.firstOffset);
  const aborting = new Set<bigint>();
  const batches = readBatches(sent);
  const plainBatches = batches.filter(({ compression }) => compression === 0);
  const capacity = plainBatches.reduce((sum, batch) => sum + maxRecordCount(batch, sent.length), 0);
  const plainTable = new RecordTable(sent, capacity);
  let decompressed = 0;
  const readNext = (batch: RecordBatch): boolean => {
    const { firstOffset: first, endOffset: end } = batch;
    // The checksum does not cover a batch's first offset. If offsets go back, the next fetch shows what the log holds.
    if (slice.next > from && first < slice.next) return false;
    verify(batch, sent);
    for (let next = aborted[0]; next !== undefined && next.firstOffset < end; next = aborted[0]) {
      aborting.add(next.producerId);
      aborted.shift();
    }
    if (batch.isControl || (batch.isTransactional && aborting.has(batch.producerId))) {
      if (batch.isControl && isAbortMarker(batch, sent)) aborting.delete(batch.producerId);
      // Compaction removed the offsets between two batches.
      slice.skipTo(first, "compacted");
      slice.skipTo(end, batch.isControl ? "control" : "aborted");
    } else {
      const plain = decompress(batch, sent);
      const table = plain.bytes === sent ? plainTable : createRecordTable(batch, plain.bytes);
      if (!slice.add(batch, table, plain)) return false;
      // Compaction keeps the last offset of a batch, even without the record that had it.
      slice.skipTo(end, "compacted");
      if (table !== plainTable) decompressed += table.memoryBytes;
    }
    // A batch without records counts, too: the leader epoch never falls from batch to batch.
    slice.leaderEpoch = batch.leaderEpoch;
    return decompressed < MOST_DECOMPRESSED_BYTES;
  };
  try {
    batches.every(readNext);
  } catch (error) {
    if (slice.next === from) throw error;
  }
  return slice.finish(plainTable);
}

/**
 * Splits a slice after `count` records and the gaps between them. The second part owns all memory, because all of it stays in use
 * while the second part waits.
 */
export function splitSlice(slice: Slice, count: number): [Slice, Slice] | [Slice] {
  const cut = slice.records.at(count);
  if (cut === undefined) return [slice];
  const part = (from: Offset, next: Offset, records: Records): Slice => {
    const gaps = slice.gaps.filter((gap) => gap.from >= from && gap.to <= next);
    return { ...slice, from, next, records, gaps };
  };
  return [
    { ...part(slice.from, cut.offset, slice.records.slice(0, count)), bytes: 0, ownTables: [] },
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
    ownTables: neighbours.flatMap(({ ownTables }) => ownTables),
  };
}

/** Frees the memory of a written slice at once. Its records cannot be read any more. */
export function release({ ownTables }: Slice): void {
  for (const table of ownTables) table.release();
}
