/** What one fetch says about one stretch of a partition's log: its committed records, and the offsets without one. */
import type { Consumer } from "@platformatic/kafka";
import { lastEpochOf, UNKNOWN_EPOCH } from "./leader_epoch.ts";

/** The client's reading of a partition in a fetch response. */
export type PartitionResponse = Awaited<
  ReturnType<Consumer["fetch"]>
>["responses"][number]["partitions"][number];
type RecordsBatch = NonNullable<PartitionResponse["records"]>[number];

/** Kafka offsets are 64-bit, yet no log comes near 2^53 (at a million records a second it takes 285 years). */
export type Offset = number;

export interface RawRecord {
  readonly offset: Offset;
  /** When the producer made it or the broker took it, as the topic is configured; milliseconds since the Unix epoch. */
  readonly timestampMs: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

/**
 * Why an offset has no committed record: a transaction's marker, a record of an aborted transaction, one that
 * compaction removed, or one that the log no longer reaches down to (retention, DeleteRecords).
 */
export type GapCause = "control" | "aborted" | "compacted" | "log_start";

/** Offsets from (inclusive) to (exclusive). */
export interface Gap {
  readonly from: Offset;
  readonly to: Offset;
  readonly cause: GapCause;
}

/** A stretch of one log. Every offset in [from, next) is a record's or lies in a gap. */
export interface Slice {
  readonly from: Offset;
  readonly next: Offset;
  readonly records: readonly RawRecord[];
  readonly gaps: readonly Gap[];
  /** Committed end of the log when it was fetched. */
  readonly logEnd: Offset;
  /** Of the leader that took the last record; -1 when that is not known. */
  readonly leaderEpoch: number;
  /** Memory that it holds, about: keys and values, and what the runtime needs for each record around them. */
  readonly bytes: number;
}

/** Two buffers and an object: measured as the growth of the heap by a million fetched records, rounded up. */
const RECORD_OVERHEAD_BYTES = 500;

const TRANSACTIONAL = 1 << 4;
const CONTROL = 1 << 5;
const LOG_APPEND_TIME = 1 << 3;
/** Type of a control record, the second of the two 16-bit numbers in its key. */
const ABORT_MARKER = 0;

/** Puts records and gaps together in the order of the log; what is skipped between two records is a gap. */
class SliceBuilder {
  readonly records: RawRecord[] = [];
  readonly gaps: Gap[] = [];
  bytes = 0;
  next: Offset;

  constructor(readonly from: Offset, readonly logEnd: Offset, readonly leaderEpoch: number) {
    this.next = from;
  }

  add(record: RawRecord): void {
    this.skipTo(record.offset, "compacted");
    this.records.push(record);
    this.bytes += RECORD_OVERHEAD_BYTES + (record.key?.length ?? 0) + (record.value?.length ?? 0);
    this.next = record.offset + 1;
  }

  skipTo(offset: Offset, cause: GapCause): void {
    if (offset <= this.next) return;
    const last = this.gaps.at(-1);
    if (last !== undefined && last.to === this.next && last.cause === cause) this.gaps.pop();
    const from = last !== undefined && last.to === this.next && last.cause === cause ? last.from : this.next;
    this.gaps.push({ from, to: offset, cause });
    this.next = offset;
  }
}

/**
 * Reads a partition's part of a fetch response, committed records only.
 *
 * The client's own filter is not enough: it keeps the records of an aborted transaction whose marker lies beyond this
 * response. Like the Java client we go by the list of aborted transactions that comes with the records.
 *
 * @param from the offset that was asked for; a batch may begin before it, and what does is left out
 */
export function sliceOf(partition: PartitionResponse, from: Offset): Slice {
  const slice = new SliceBuilder(from, Number(partition.lastStableOffset), lastEpochOf(partition));
  const aborted = [...partition.abortedTransactions ?? []]
    .sort((a, b) => Number(a.firstOffset - b.firstOffset));
  const aborting = new Set<bigint>();
  for (const batch of partition.records ?? []) {
    const first = Number(batch.firstOffset);
    const end = first + batch.lastOffsetDelta + 1;
    for (let next = aborted[0]; next !== undefined && Number(next.firstOffset) < end; next = aborted[0]) {
      aborting.add(next.producerId);
      aborted.shift();
    }
    if ((batch.attributes & CONTROL) !== 0) {
      if (controlType(batch) === ABORT_MARKER) aborting.delete(batch.producerId);
      // The batch begins where the log goes on; offsets missing before it were compacted away.
      slice.skipTo(Math.min(first, end), "compacted");
      slice.skipTo(end, "control");
    } else if ((batch.attributes & TRANSACTIONAL) !== 0 && aborting.has(batch.producerId)) {
      slice.skipTo(first, "compacted");
      slice.skipTo(end, "aborted");
    } else {
      addRecords(slice, batch, first);
      // Compaction keeps a batch's last offset although the record that had it is gone.
      slice.skipTo(end, "compacted");
    }
  }
  return slice;
}

function addRecords(slice: SliceBuilder, batch: RecordsBatch, first: Offset): void {
  const base = Number(batch.firstTimestamp);
  const appended = (batch.attributes & LOG_APPEND_TIME) !== 0 ? Number(batch.maxTimestamp) : undefined;
  for (const record of batch.records) {
    const offset = first + record.offsetDelta;
    if (offset < slice.next) continue;
    const timestampMs = appended ?? base + Number(record.timestampDelta);
    slice.add({ offset, timestampMs, key: record.key ?? null, value: record.value ?? null });
  }
}

function controlType(batch: RecordsBatch): number | undefined {
  const key = batch.records[0]?.key;
  return key === null || key === undefined || key.length < 4 ? undefined : key.readInt16BE(2);
}

/** Splits a stretch so that the first part has `count` records; the gaps before the cut stay with it. */
export function splitSlice(slice: Slice, count: number): [Slice, Slice] | [Slice] {
  const cut = slice.records[count];
  if (cut === undefined) return [slice];
  const part = (from: Offset, next: Offset, records: readonly RawRecord[]): Slice => ({
    from,
    next,
    records,
    gaps: slice.gaps.filter((gap) => gap.from >= from && gap.to <= next),
    logEnd: slice.logEnd,
    leaderEpoch: slice.leaderEpoch,
    bytes: Math.round(slice.bytes * records.length / slice.records.length),
  });
  return [
    part(slice.from, cut.offset, slice.records.slice(0, count)),
    part(cut.offset, slice.next, slice.records.slice(count)),
  ];
}

/** Bytes of a partition's part of a response as they came over the wire, compressed as they may be. */
export function wireBytes(partition: PartitionResponse): number {
  return (partition.records ?? []).reduce((sum, { length }) => sum + length, 0);
}

/** A stretch that holds nothing but a gap; nobody can tell of which epoch its last offset was. */
export function gapSlice(from: Offset, to: Offset, cause: GapCause): Slice {
  const gaps = [{ from, to, cause }];
  return { from, next: to, records: [], gaps, logEnd: to, leaderEpoch: UNKNOWN_EPOCH, bytes: 0 };
}

/** Joins neighbouring stretches into one. */
export function joinSlices(slices: readonly [Slice, ...Slice[]]): Slice {
  const [first] = slices;
  if (slices.length === 1) return first;
  const last = slices.at(-1) ?? first;
  return {
    from: first.from,
    next: last.next,
    logEnd: last.logEnd,
    leaderEpoch: last.leaderEpoch,
    records: slices.flatMap(({ records }) => records),
    gaps: slices.flatMap(({ gaps }) => gaps),
    bytes: slices.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}
