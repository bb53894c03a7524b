/**
 * Folder `kafka`: connections to Kafka, and all that is known of its protocol: fetch and produce requests, record batches,
 * codecs, membership, topics. Only it uses undocumented parts of the client. It never knows what a record means.
 *
 * Kafka's record batches, read where they lie. Only the format's second version is read: brokers send it to whoever
 * asks for topics by id. Layout: https://kafka.apache.org/documentation/#recordbatch
 */
import type { Buffer } from "node:buffer";
import { crc32c } from "@platformatic/kafka";
import { HEADER_BYTES } from "./batch_writer.ts";
import { unpack } from "./codecs.ts";
import { type Offset, RecordTable } from "./records.ts";

/** Thirty times the largest batch that a topic takes unless told otherwise; a bomb shall not fill the memory. */
const MOST_DECOMPRESSED_BYTES = 32 * 1024 * 1024;
/** Of more records than these, a compressed batch is read in parts: the smallest take less than their row in a table. */
const MOST_RECORDS_AT_ONCE = 128 * 1024;
/** First offset and length, which the length does not count. */
const PREFIX_BYTES = 12;
/** Lengths and deltas of one byte each, attributes, an empty key, value and list of headers. */
const SMALLEST_RECORD_BYTES = 7;

/**
 * The batches in a partition's part of a fetch response. The last may be cut off: it comes whole with the next fetch.
 *
 * @throws RangeError when it begins with bytes that are none; what is none behind a batch comes first with the next fetch
 */
export function readBatches(bytes: Buffer): RecordBatch[] {
  const batches: RecordBatch[] = [];
  for (let at = 0; at + PREFIX_BYTES <= bytes.length;) {
    const end = at + PREFIX_BYTES + bytes.readInt32BE(at + 8);
    if (end > bytes.length) break;
    const format = bytes[at + 16];
    if (end < at + HEADER_BYTES || format !== 2) {
      if (batches.length > 0) break;
      throw new RangeError(`a record batch has format ${format} and ends after ${end - at} bytes`);
    }
    batches.push(readHeader(bytes, at, end));
    at = end;
  }
  return batches;
}

/** One batch of a log, its records still as they were sent. */
export type RecordBatch = Readonly<ReturnType<typeof readHeader>>;

function readHeader(bytes: Buffer, at: number, end: number) {
  const firstOffset: Offset = Number(bytes.readBigInt64BE(at));
  const attributes = bytes.readInt16BE(at + 21);
  return {
    firstOffset,
    leaderEpoch: bytes.readInt32BE(at + 12),
    /** The offset behind its last one; compaction keeps it although the record that had it may be gone. */
    endOffset: firstOffset + bytes.readInt32BE(at + 23) + 1,
    /** Milliseconds since the Unix epoch; what the records' own timestamps are counted from. */
    firstTimestampMs: Number(bytes.readBigInt64BE(at + 27)),
    /** When the broker took the batch, where the topic wants that instead of the producer's clock. */
    appendedMs: (attributes & 1 << 3) === 0 ? undefined : Number(bytes.readBigInt64BE(at + 35)),
    producerId: bytes.readBigInt64BE(at + 43),
    count: bytes.readInt32BE(at + 57),
    isTransactional: (attributes & 1 << 4) !== 0,
    isControl: (attributes & 1 << 5) !== 0,
    compression: attributes & 0b111,
    /** Where it begins in what was sent, and where its records lie. */
    at,
    recordsStart: at + HEADER_BYTES,
    recordsEnd: end,
  };
}

/**
 * Compares a batch with its checksum (it may have changed on the way, or on the broker's disk) and its numbers of records
 * and of offsets.
 *
 * @param sent what the batch was read from
 * @throws RangeError for a batch that is not what its producer sent, or that no broker takes
 */
export function verify(batch: RecordBatch, sent: Buffer): void {
  const { at, count, firstOffset, endOffset, recordsEnd } = batch;
  if (crc32c(sent.subarray(at + 21, recordsEnd)) !== sent.readUInt32BE(at + 17)) {
    throw new RangeError(`the batch at offset ${firstOffset} does not match its checksum`);
  }
  const offsets = endOffset - firstOffset;
  if (offsets < 1 || count < 0 || count > offsets) {
    throw new RangeError(`the batch at offset ${firstOffset} has ${count} records and ${offsets} offsets`);
  }
}

/** Bytes [at, end) hold the records of a batch, not compressed. */
export type PlainRecords = Readonly<ReturnType<typeof decompress>>;

/**
 * Where the records of a batch lie once they are decompressed.
 *
 * @param sent what the batch was read from
 * @returns for a batch that is not compressed, its place in `sent` itself
 * @throws RangeError for a batch that is too large once decompressed, or that its codec cannot read
 */
export function decompress(batch: RecordBatch, sent: Buffer): { bytes: Buffer; at: number; end: number } {
  const { compression, firstOffset, recordsStart: at, recordsEnd: end } = batch;
  if (compression === 0) return { bytes: sent, at, end };
  let bytes: Buffer | undefined;
  try {
    bytes = unpack(compression, sent.subarray(at, end), MOST_DECOMPRESSED_BYTES);
  } catch (error) {
    const why = (error as Error).message;
    throw new RangeError(`the batch at offset ${firstOffset} cannot be decompressed: ${why}`, {
      cause: error,
    });
  }
  if (bytes !== undefined) return { bytes, at: 0, end: bytes.length };
  throw new RangeError(
    `the batch at offset ${firstOffset} is larger than ${MOST_DECOMPRESSED_BYTES} bytes when decompressed`,
  );
}

/** How many records a table must have room for; what the batch says is not believed beyond what its bytes can hold. */
export function maxRecordCount({ count }: RecordBatch, byteLength: number): number {
  return Math.max(0, Math.min(count, Math.floor(byteLength / SMALLEST_RECORD_BYTES)));
}

/** A table for a batch that was decompressed; it may not have room for all of its records. */
export function createRecordTable(batch: RecordBatch, bytes: Buffer): RecordTable {
  return new RecordTable(
    bytes,
    Math.max(1, Math.min(maxRecordCount(batch, bytes.length), MOST_RECORDS_AT_ONCE)),
  );
}

/**
 * Adds the records of a batch to a table over the same bytes, as many as it has room for. A broker takes a batch only with
 * as many offsets as records, and gives them out in the order of the records. What a producer wrote into each of them it
 * does not look at, unless the batch is compressed: that counts only where compaction left fewer records than offsets.
 *
 * @param reading records with offsets smaller than `from` are left out; `onRecord` hears of each before it is added
 * @returns whether these were all
 * @throws RangeError for bytes that are none (what came before them is in the table), and for offsets that cannot be
 */
export function addRecords(
  table: RecordTable,
  batch: RecordBatch,
  plain: PlainRecords,
  { from, onRecord }: { readonly from: Offset; readonly onRecord: (offset: Offset) => void },
): boolean {
  const isWhole = batch.count === batch.endOffset - batch.firstOffset;
  if (!isWhole) checkOffsets(batch, plain);
  const cursor = new Cursor(plain.bytes, plain.at);
  for (let index = 0; index < batch.count; index++) {
    const length = cursor.varint();
    const end = cursor.at + length;
    cursor.at++;
    const timestampDelta = cursor.varint();
    const stated = batch.firstOffset + cursor.varint();
    const keyLength = cursor.varint();
    const keyAt = cursor.at;
    if (keyLength > 0) cursor.at += keyLength;
    const valueLength = cursor.varint();
    const valueAt = cursor.at;
    // Headers are of no use to us: the next record begins behind them.
    if (!(length > 0 && end <= plain.end && valueAt + Math.max(0, valueLength) <= end)) {
      throw new RangeError(`record ${index} of the batch at offset ${batch.firstOffset} is malformed`);
    }
    cursor.at = end;
    const offset = isWhole ? batch.firstOffset + index : stated;
    if (offset < from) continue;
    if (table.length === table.capacity) return false;
    onRecord(offset);
    const timestampMs = batch.appendedMs ?? batch.firstTimestampMs + timestampDelta;
    table.add(offset, timestampMs, keyAt, Math.max(-1, keyLength), valueAt, Math.max(-1, valueLength));
  }
  return true;
}

/**
 * Before any of the offsets that a producer wrote is believed: behind one too large, a smaller one would never be read.
 *
 * @throws RangeError unless they rise and are the batch's
 */
function checkOffsets(batch: RecordBatch, { bytes, at, end }: PlainRecords): void {
  const cursor = new Cursor(bytes, at);
  let least = batch.firstOffset;
  for (let index = 0; index < batch.count; index++) {
    const length = cursor.varint();
    const next = cursor.at + length;
    // Whoever adds them refuses this record, and takes none behind it.
    if (!(length > 0 && next <= end)) return;
    cursor.at++;
    cursor.varint();
    const offset = batch.firstOffset + cursor.varint();
    if (!(offset >= least && offset < batch.endOffset)) {
      throw new RangeError(
        `record ${index} of the batch at offset ${batch.firstOffset} has offset ${offset}, ` +
          `expected at least ${least} and less than ${batch.endOffset}`,
      );
    }
    least = offset + 1;
    cursor.at = next;
  }
}

/** Whether a control batch's one record ends its transaction so that nothing of it counts. */
export function isAbortMarker(batch: RecordBatch, sent: Buffer): boolean {
  const plain = decompress(batch, sent);
  const table = createRecordTable(batch, plain.bytes);
  addRecords(table, batch, plain, { from: 0, onRecord: () => {} });
  const key = table.length === 0 ? null : table.record(0).key;
  // The second of its key's two 16-bit numbers is what kind it is: 0 aborts.
  return key !== null && key.length >= 4 && key[2] === 0 && key[3] === 0;
}

/** Reads zigzag varints, of up to 64 bits as far as a double holds them. */
class Cursor {
  constructor(private readonly bytes: Uint8Array, public at: number) {}

  varint(): number {
    let byte = this.bytes[this.at++] ?? 0;
    let value = byte & 0x7f;
    for (let unit = 128; byte > 0x7f; unit *= 128) {
      byte = this.bytes[this.at++] ?? 0;
      value += (byte & 0x7f) * unit;
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}
