/**
 * Writes record batches straight into bytes, because the client's encoder makes several objects and buffers for each record.
 * Layout: https://kafka.apache.org/documentation/#recordbatch
 */
import { Buffer } from "node:buffer";
import { compressionsAlgorithms, crc32c } from "@platformatic/kafka";

export type Compression = "none" | "gzip" | "snappy" | "lz4" | "zstd";

export interface Content {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

export const LENGTH_AT = 8;
export const LEADER_EPOCH_AT = 12;
export const FORMAT_AT = 16;
export const CHECKSUM_AT = 17;
export const ATTRIBUTES_AT = 21;
export const LAST_OFFSET_DELTA_AT = 23;
export const FIRST_TIMESTAMP_AT = 27;
export const LAST_TIMESTAMP_AT = 35;
export const PRODUCER_AT = 43;
export const COUNT_AT = 57;
export const HEADER_BYTES = 61;
/** Three lengths and one delta of up to five bytes, and three fields of one byte. */
const MAX_RECORD_OVERHEAD = 4 * 5 + 3;

/** @param records must contain at least one record */
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

export function writeBatch(records: readonly Content[]): Buffer {
  let maxLength = HEADER_BYTES + records.length * MAX_RECORD_OVERHEAD;
  for (const { key, value } of records) maxLength += (key?.length ?? 0) + (value?.length ?? 0);
  const bytes = Buffer.allocUnsafeSlow(maxLength);
  bytes.fill(0, 0, HEADER_BYTES);
  bytes.writeInt32BE(-1, LEADER_EPOCH_AT);
  bytes.writeInt8(2, FORMAT_AT);
  bytes.writeInt32BE(records.length - 1, LAST_OFFSET_DELTA_AT);
  // Each of these fields becomes -1: without producer id, epoch and sequence, the batch is not idempotent.
  bytes.fill(0xff, PRODUCER_AT, COUNT_AT);
  bytes.writeInt32BE(records.length, COUNT_AT);
  let end = HEADER_BYTES;
  for (let index = 0; index < records.length; index++) {
    end = writeRecord(bytes, end, index, records[index] as Content);
  }
  return seal(bytes.subarray(0, end));
}

/** Sets length, timestamps (now) and checksum of a whole batch, in place. */
export function seal(batch: Buffer): Buffer {
  const now = BigInt(Date.now());
  batch.writeInt32BE(batch.length - LEADER_EPOCH_AT, LENGTH_AT);
  batch.writeBigInt64BE(now, FIRST_TIMESTAMP_AT);
  batch.writeBigInt64BE(now, LAST_TIMESTAMP_AT);
  batch.writeUInt32BE(crc32c(batch.subarray(ATTRIBUTES_AT)) >>> 0, CHECKSUM_AT);
  return batch;
}

function writeRecord(bytes: Buffer, pos: number, index: number, { key, value }: Content): number {
  // One byte each: attributes, timestamp delta (0) and, after the value, the number of headers (0).
  const length = 3 + varintLength(index) + fieldLength(key) + fieldLength(value);
  let end = writeVarint(bytes, pos, length);
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

function writeField(bytes: Buffer, pos: number, field: Uint8Array | null): number {
  if (field === null) return writeVarint(bytes, pos, -1);
  const from = writeVarint(bytes, pos, field.length);
  bytes.set(field, from);
  return from + field.length;
}

/** Zigzag: 0, -1, 1, -2 become 0, 1, 2, 3. The value must be below 2^30. */
function writeVarint(bytes: Buffer, pos: number, value: number): number {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  for (; rest > 0x7f; rest >>>= 7) bytes[pos++] = (rest & 0x7f) | 0x80;
  bytes[pos++] = rest;
  return pos;
}

function varintLength(value: number): number {
  return value < 0x40 ? 1 : value < 0x2000 ? 2 : value < 0x10_0000 ? 3 : value < 0x800_0000 ? 4 : 5;
}
