/**
 * Folder `kafka`: connections to Kafka and its protocol. Only this folder uses undocumented parts of the client. It does not
 * know what a record means.
 *
 * This file reads record batches in place, in format 2 only: brokers send no other to a client that fetches by topic id.
 * Layout: https://kafka.apache.org/documentation/#recordbatch
 */
import type { Buffer } from "node:buffer";
import { crc32c } from "@platformatic/kafka";
import {
  ATTRIBUTES_AT,
  CHECKSUM_AT,
  COUNT_AT,
  FIRST_TIMESTAMP_AT,
  FORMAT_AT,
  HEADER_BYTES,
  LAST_OFFSET_DELTA_AT,
  LAST_TIMESTAMP_AT,
  LEADER_EPOCH_AT,
  LENGTH_AT,
  PRODUCER_AT,
} from "./batch_writer.ts";
import { unpack } from "./codecs.ts";
import { type Offset, RecordTable } from "./records.ts";

/** About thirty times the default `max.message.bytes`. It stops decompression bombs. */
const MAX_DECOMPRESSED_BYTES = 32 * 1024 * 1024;
/** Larger compressed batches are read in parts, because a row of a table takes more memory than a very small record. */
const MAX_TABLE_RECORDS = 128 * 1024;
/** The first offset and the length of a batch. The length does not count these 12 bytes. */
const PREFIX_BYTES = 12;
/** One byte each: length, attributes, two deltas, and the lengths of key, value and headers. */
const MIN_RECORD_BYTES = 7;

/**
 * Leaves out a batch at the end that is cut off or malformed, because the next fetch begins with it.
 *
 * @throws RangeError if the first batch is malformed
 */
export function readBatches(bytes: Buffer): RecordBatch[] {
  const batches: RecordBatch[] = [];
  for (let pos = 0; pos + PREFIX_BYTES <= bytes.length;) {
    const end = pos + PREFIX_BYTES + bytes.readInt32BE(pos + LENGTH_AT);
    if (end > bytes.length) break;
    const format = bytes[pos + FORMAT_AT];
    if (end < pos + HEADER_BYTES || format !== 2) {
      if (batches.length > 0) break;
      throw new RangeError(`a record batch has format ${format} and ends after ${end - pos} bytes`);
    }
    batches.push(readHeader(bytes, pos, end));
    pos = end;
  }
  return batches;
}

export type RecordBatch = Readonly<ReturnType<typeof readHeader>>;

function readHeader(bytes: Buffer, start: number, end: number) {
  const firstOffset: Offset = Number(bytes.readBigInt64BE(start));
  const attributes = bytes.readInt16BE(start + ATTRIBUTES_AT);
  return {
    firstOffset,
    leaderEpoch: bytes.readInt32BE(start + LEADER_EPOCH_AT),
    /** Compaction does not change it, even when it removes the last record. */
    endOffset: firstOffset + bytes.readInt32BE(start + LAST_OFFSET_DELTA_AT) + 1,
    /** The timestamps of the records are relative to this one. */
    firstTimestampMs: Number(bytes.readBigInt64BE(start + FIRST_TIMESTAMP_AT)),
    /** The broker's time, if the topic has `message.timestamp.type=LogAppendTime`. */
    appendedMs: (attributes & 1 << 3) === 0
      ? undefined
      : Number(bytes.readBigInt64BE(start + LAST_TIMESTAMP_AT)),
    producerId: bytes.readBigInt64BE(start + PRODUCER_AT),
    count: bytes.readInt32BE(start + COUNT_AT),
    isTransactional: (attributes & 1 << 4) !== 0,
    isControl: (attributes & 1 << 5) !== 0,
    compression: attributes & 0b111,
    start,
    recordsStart: start + HEADER_BYTES,
    recordsEnd: end,
  };
}

/**
 * @param source the bytes that the batch was read from
 * @throws RangeError for a corrupt batch
 */
export function verify(batch: RecordBatch, source: Buffer): void {
  const { start, count, firstOffset, endOffset, recordsEnd } = batch;
  if (
    crc32c(source.subarray(start + ATTRIBUTES_AT, recordsEnd)) !== source.readUInt32BE(start + CHECKSUM_AT)
  ) {
    throw new RangeError(`the batch at offset ${firstOffset} does not match its checksum`);
  }
  const offsets = endOffset - firstOffset;
  if (offsets < 1 || count < 0 || count > offsets) {
    throw new RangeError(`the batch at offset ${firstOffset} has ${count} records and ${offsets} offsets`);
  }
}

export type PlainRecords = Readonly<ReturnType<typeof decompress>>;

/**
 * @returns for an uncompressed batch, `source` itself and the positions of the records in it
 * @throws RangeError if the batch is too large or its codec cannot read it
 */
export function decompress(
  batch: RecordBatch,
  source: Buffer,
): { bytes: Buffer; start: number; end: number } {
  const { compression, firstOffset, recordsStart: start, recordsEnd: end } = batch;
  if (compression === 0) return { bytes: source, start, end };
  let bytes: Buffer | undefined;
  try {
    bytes = unpack(compression, source.subarray(start, end), MAX_DECOMPRESSED_BYTES);
  } catch (error) {
    const why = (error as Error).message;
    throw new RangeError(`the batch at offset ${firstOffset} cannot be decompressed: ${why}`, {
      cause: error,
    });
  }
  if (bytes !== undefined) return { bytes, start: 0, end: bytes.length };
  throw new RangeError(
    `the batch at offset ${firstOffset} is larger than ${MAX_DECOMPRESSED_BYTES} bytes when decompressed`,
  );
}

/** The caller allocates memory for so many records, so a damaged count must not exceed what the bytes can hold. */
export function maxRecordCount({ count }: RecordBatch, byteLength: number): number {
  return Math.max(0, Math.min(count, Math.floor(byteLength / MIN_RECORD_BYTES)));
}

/** The table may be too small for all records: see {@link addRecords}. */
export function createRecordTable(batch: RecordBatch, bytes: Buffer): RecordTable {
  return new RecordTable(
    bytes,
    Math.max(1, Math.min(maxRecordCount(batch, bytes.length), MAX_TABLE_RECORDS)),
  );
}

/**
 * A broker numbers the records in their order, and ignores the offsets that the producer wrote. So the written offsets apply only
 * after compaction has removed records.
 *
 * @param range records below `from` are skipped; `onRecord` is called before each record is added
 * @returns false if the table became full
 * @throws RangeError for malformed bytes (the records before them are in the table), and for impossible offsets
 */
export function addRecords(
  table: RecordTable,
  batch: RecordBatch,
  plain: PlainRecords,
  { from, onRecord }: { readonly from: Offset; readonly onRecord: (offset: Offset) => void },
): boolean {
  const isWhole = batch.count === batch.endOffset - batch.firstOffset;
  if (!isWhole) checkOffsets(batch, plain);
  const cursor = new Cursor(plain.bytes, plain.start);
  for (let index = 0; index < batch.count; index++) {
    const length = cursor.varint();
    const end = cursor.pos + length;
    cursor.pos++;
    const timestampDelta = cursor.varint();
    const stated = batch.firstOffset + cursor.varint();
    const keyLength = cursor.varint();
    const keyStart = cursor.pos;
    if (keyLength > 0) cursor.pos += keyLength;
    const valueLength = cursor.varint();
    const valueStart = cursor.pos;
    if (!(length > 0 && end <= plain.end && valueStart + Math.max(0, valueLength) <= end)) {
      throw new RangeError(`record ${index} of the batch at offset ${batch.firstOffset} is malformed`);
    }
    cursor.pos = end;
    const offset = isWhole ? batch.firstOffset + index : stated;
    if (offset < from) continue;
    if (table.length === table.capacity) return false;
    onRecord(offset);
    const timestampMs = batch.appendedMs ?? batch.firstTimestampMs + timestampDelta;
    table.add(offset, timestampMs, keyStart, Math.max(-1, keyLength), valueStart, Math.max(-1, valueLength));
  }
  return true;
}

/** Offsets must rise within the batch: after one that is too large, the consumer would skip the records that follow. */
function checkOffsets(batch: RecordBatch, { bytes, start, end }: PlainRecords): void {
  const cursor = new Cursor(bytes, start);
  let lowest = batch.firstOffset;
  for (let index = 0; index < batch.count; index++) {
    const length = cursor.varint();
    const next = cursor.pos + length;
    // addRecords stops at this record with an error.
    if (!(length > 0 && next <= end)) return;
    cursor.pos++;
    cursor.varint();
    const offset = batch.firstOffset + cursor.varint();
    if (!(offset >= lowest && offset < batch.endOffset)) {
      throw new RangeError(
        `record ${index} of the batch at offset ${batch.firstOffset} has offset ${offset}, ` +
          `expected at least ${lowest} and less than ${batch.endOffset}`,
      );
    }
    lowest = offset + 1;
    cursor.pos = next;
  }
}

/** @param batch a control batch; its one record ends a transaction */
export function isAbortMarker(batch: RecordBatch, source: Buffer): boolean {
  const plain = decompress(batch, source);
  const table = createRecordTable(batch, plain.bytes);
  addRecords(table, batch, plain, { from: 0, onRecord: () => {} });
  const key = table.length === 0 ? null : table.record(0).key;
  // The key has two 16-bit numbers, version and type. Type 0 is abort.
  return key !== null && key.length >= 4 && key[2] === 0 && key[3] === 0;
}

/** Reads zigzag varints of up to 64 bits, with the precision of a double. */
class Cursor {
  constructor(private readonly bytes: Uint8Array, public pos: number) {}

  varint(): number {
    let byte = this.bytes[this.pos++] ?? 0;
    let value = byte & 0x7f;
    for (let unit = 128; byte > 0x7f; unit *= 128) {
      byte = this.bytes[this.pos++] ?? 0;
      value += (byte & 0x7f) * unit;
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}
