/**
 * Records as one of Kafka's record batches, written straight into bytes: the client's own encoding makes several objects
 * and a dozen small buffers of each record. Layout: https://kafka.apache.org/documentation/#recordbatch
 */
import { Buffer } from "node:buffer";
import { compressionsAlgorithms, crc32c } from "@platformatic/kafka";

export type Compression = "none" | "gzip" | "snappy" | "lz4" | "zstd";

/** A record to be written. */
export interface Content {
  readonly key: Uint8Array | null;
  /** null is a tombstone. */
  readonly value: Uint8Array | null;
}

/** Where the header's fields lie. */
const LENGTH_AT = 8;
const LEADER_EPOCH_AT = 12;
const FORMAT_AT = 16;
const CHECKSUM_AT = 17;
const ATTRIBUTES_AT = 21;
const LAST_OFFSET_DELTA_AT = 23;
const FIRST_TIMESTAMP_AT = 27;
const LAST_TIMESTAMP_AT = 35;
const PRODUCER_AT = 43;
const COUNT_AT = 57;
export const HEADER_BYTES = 61;
/** Around a key and a value: three lengths and a delta of five bytes at most, three fields of one byte. */
const MOST_AROUND_RECORD = 4 * 5 + 3;

/** @param records at least one */
export async function encodeBatch(records: readonly Content[], compression: Compression): Promise<Buffer> {
  const batch = writeBatch(records);
  if (compression === "none") return batch;
  const codec = compressionsAlgorithms[compression];
  const plain = batch.subarray(HEADER_BYTES);
  const compressed = "compress" in codec ? await codec.compress(plain) : codec.compressSync(plain);
  const whole = Buffer.concat([batch.subarray(0, HEADER_BYTES), compressed]);
  whole.writeInt16BE(codec.bitmask, ATTRIBUTES_AT);
  return seal(whole);
}

/** As {@link encodeBatch}, not compressed. */
export function writeBatch(records: readonly Content[]): Buffer {
  let most = HEADER_BYTES + records.length * MOST_AROUND_RECORD;
  for (const { key, value } of records) most += (key?.length ?? 0) + (value?.length ?? 0);
  const bytes = Buffer.allocUnsafeSlow(most);
  bytes.fill(0, 0, HEADER_BYTES);
  bytes.writeInt32BE(-1, LEADER_EPOCH_AT);
  bytes.writeInt8(2, FORMAT_AT);
  bytes.writeInt32BE(records.length - 1, LAST_OFFSET_DELTA_AT);
  // No producer id, epoch and sequence: it is not idempotent.
  bytes.fill(0xff, PRODUCER_AT, COUNT_AT);
  bytes.writeInt32BE(records.length, COUNT_AT);
  let end = HEADER_BYTES;
  for (let index = 0; index < records.length; index++) {
    end = writeRecord(bytes, end, index, records[index] as Content);
  }
  return seal(bytes.subarray(0, end));
}

/** Makes it a batch of this moment, its length and its checksum right. @param batch whole, and changed in place */
export function seal(batch: Buffer): Buffer {
  const now = BigInt(Date.now());
  batch.writeInt32BE(batch.length - LEADER_EPOCH_AT, LENGTH_AT);
  batch.writeBigInt64BE(now, FIRST_TIMESTAMP_AT);
  batch.writeBigInt64BE(now, LAST_TIMESTAMP_AT);
  batch.writeUInt32BE(crc32c(batch.subarray(ATTRIBUTES_AT)) >>> 0, CHECKSUM_AT);
  return batch;
}

/** @returns where it ends */
function writeRecord(bytes: Buffer, at: number, index: number, { key, value }: Content): number {
  // Attributes, the difference of the timestamp (none) and, behind the value, the number of headers (none): a byte each.
  const length = 3 + varintLength(index) + fieldLength(key) + fieldLength(value);
  let end = writeVarint(bytes, at, length);
  bytes[end++] = 0;
  bytes[end++] = 0;
  end = writeVarint(bytes, end, index);
  end = writeField(bytes, end, key);
  end = writeField(bytes, end, value);
  bytes[end++] = 0;
  return end;
}

function fieldLength(field: Uint8Array | null): number {
  return field === null ? 1 : varintLength(field.length) + field.length;
}

function writeField(bytes: Buffer, at: number, field: Uint8Array | null): number {
  if (field === null) return writeVarint(bytes, at, -1);
  const from = writeVarint(bytes, at, field.length);
  bytes.set(field, from);
  return from + field.length;
}

/** Zigzag: 0, -1, 1, -2 are 0, 1, 2, 3. @param value under 2^30 */
function writeVarint(bytes: Buffer, at: number, value: number): number {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  for (; rest > 0x7f; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80;
  bytes[at++] = rest;
  return at;
}

/** @param value not negative */
function varintLength(value: number): number {
  return value < 0x40 ? 1 : value < 0x2000 ? 2 : value < 0x10_0000 ? 3 : value < 0x800_0000 ? 4 : 5;
}
