/**
 * Records as one of Kafka's record batches, written straight into bytes: the client's own encoding makes several objects
 * and a dozen small buffers of each record. Layout: https://kafka.apache.org/documentation/#recordbatch
 */
import { Buffer } from "node:buffer";
import { compressionsAlgorithms, crc32c } from "@platformatic/kafka";
import type { OutgoingRecord } from "./generate.ts";

export type Compression = "none" | "gzip" | "snappy" | "lz4" | "zstd";

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
const HEADER_BYTES = 61;
const FORMAT = 2;
/** Around a key and a value: three lengths and a delta of five bytes at most, three fields of one byte. */
const MOST_AROUND_RECORD = 4 * 5 + 3;

/**
 * @param records at least one
 * @param now that they get as their timestamp, milliseconds since the Unix epoch
 */
export async function encodeBatch(
  records: readonly OutgoingRecord[],
  compression: Compression,
  now: number = Date.now(),
): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(HEADER_BYTES + mostBytes(records));
  let end = HEADER_BYTES;
  for (let index = 0; index < records.length; index++) {
    end = writeRecord(bytes, end, index, records[index] as OutgoingRecord);
  }
  if (compression === "none") return seal(bytes.subarray(0, end), records.length, 0, now);
  const compressed = await compress(bytes.subarray(HEADER_BYTES, end), compression);
  const whole = Buffer.concat([bytes.subarray(0, HEADER_BYTES), compressed]);
  return seal(whole, records.length, compressionsAlgorithms[compression].bitmask, now);
}

function mostBytes(records: readonly OutgoingRecord[]): number {
  let most = records.length * MOST_AROUND_RECORD;
  for (const { key, value } of records) most += key.length + (value === null ? 0 : value.length);
  return most;
}

/** @returns where it ends */
function writeRecord(bytes: Buffer, at: number, index: number, { key, value }: OutgoingRecord): number {
  const valueBytes = value === null ? 0 : value.length;
  // Attributes, the difference of the timestamp (none) and, behind the value, the number of headers (none): a byte each.
  const length = 3 + varintLength(index) + varintLength(key.length) + key.length +
    (value === null ? 1 : varintLength(valueBytes)) + valueBytes;
  let end = writeVarint(bytes, at, length);
  bytes[end++] = 0;
  bytes[end++] = 0;
  end = writeVarint(bytes, end, index);
  end = writeVarint(bytes, end, key.length);
  bytes.set(key, end);
  end = writeVarint(bytes, end + key.length, value === null ? -1 : valueBytes);
  if (value !== null) bytes.set(value, end);
  end += valueBytes;
  bytes[end++] = 0;
  return end;
}

/** Writes the header in front of the records. */
function seal(batch: Buffer, count: number, attributes: number, now: number): Buffer {
  batch.fill(0, 0, LENGTH_AT);
  batch.writeInt32BE(batch.length - LEADER_EPOCH_AT, LENGTH_AT);
  batch.writeInt32BE(-1, LEADER_EPOCH_AT);
  batch.writeInt8(FORMAT, FORMAT_AT);
  batch.writeInt16BE(attributes, ATTRIBUTES_AT);
  batch.writeInt32BE(count - 1, LAST_OFFSET_DELTA_AT);
  batch.writeBigInt64BE(BigInt(now), FIRST_TIMESTAMP_AT);
  batch.writeBigInt64BE(BigInt(now), LAST_TIMESTAMP_AT);
  // No producer id, epoch and sequence: it is not idempotent.
  batch.fill(0xff, PRODUCER_AT, COUNT_AT);
  batch.writeInt32BE(count, COUNT_AT);
  batch.writeUInt32BE(crc32c(batch.subarray(ATTRIBUTES_AT)) >>> 0, CHECKSUM_AT);
  return batch;
}

async function compress(bytes: Buffer, compression: Exclude<Compression, "none">): Promise<Buffer> {
  const codec = compressionsAlgorithms[compression];
  return "compress" in codec ? await codec.compress(bytes) : codec.compressSync(bytes);
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
