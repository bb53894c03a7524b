/** Readings as one Kafka record batch, written straight into bytes: a load must cost less than what it loads. */
import { Buffer } from "node:buffer";
import { crc32c } from "@platformatic/kafka";

export interface TimedReading {
  /** Of `customers`. */
  readonly customer: number;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly heartRate: number;
}

/** Batch format 2, https://kafka.apache.org/documentation/#recordbatch: where its fields lie. */
const BATCH_LENGTH_AT = 8;
const LEADER_EPOCH_AT = 12;
const MAGIC_AT = 16;
const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const LAST_OFFSET_DELTA_AT = 23;
const FIRST_TIMESTAMP_AT = 27;
const MAX_TIMESTAMP_AT = 35;
const PRODUCER_AT = 43;
const COUNT_AT = 57;
const HEADER_BYTES = 61;
/** A reading with everything around it takes about a hundred. */
const MOST_RECORD_BYTES = 256;
const SECOND_MS = 1_000;

/** Makes it a batch of this moment, and its checksum right. @param batch whole, and changed in place */
export function seal(batch: Buffer): Buffer {
  const now = BigInt(Date.now());
  batch.writeBigInt64BE(now, FIRST_TIMESTAMP_AT);
  batch.writeBigInt64BE(now, MAX_TIMESTAMP_AT);
  batch.writeUInt32BE(crc32c(batch.subarray(ATTRIBUTES_AT)) >>> 0, CRC_AT);
  return batch;
}

export class ReadingsBatch {
  readonly #keys: readonly Buffer[];
  readonly #beginnings: readonly Buffer[];
  readonly #bytes: Buffer;
  #second = NaN;
  #secondText = Buffer.alloc(0);

  /**
   * @param customers their names
   * @param most records in a batch
   */
  constructor(customers: readonly string[], most: number) {
    this.#keys = customers.map((name) => Buffer.from(name));
    this.#beginnings = customers.map((name) => Buffer.from(`{"customer_id":"${name}","timestamp":"`));
    this.#bytes = Buffer.alloc(HEADER_BYTES + most * MOST_RECORD_BYTES);
  }

  /** @returns a copy, which the caller may keep */
  write(readings: readonly TimedReading[]): Buffer {
    const bytes = this.#bytes;
    let end = HEADER_BYTES;
    for (const [delta, reading] of readings.entries()) end = this.#record(end, delta, reading);
    bytes.fill(0, 0, HEADER_BYTES);
    bytes.writeInt32BE(end - LEADER_EPOCH_AT, BATCH_LENGTH_AT);
    bytes.writeInt32BE(-1, LEADER_EPOCH_AT);
    bytes.writeInt8(2, MAGIC_AT);
    bytes.writeInt32BE(readings.length - 1, LAST_OFFSET_DELTA_AT);
    // No producer id, epoch and sequence: it is not idempotent.
    bytes.fill(0xff, PRODUCER_AT, COUNT_AT);
    bytes.writeInt32BE(readings.length, COUNT_AT);
    return seal(Buffer.from(bytes.subarray(0, end)));
  }

  #record(at: number, delta: number, { customer, at: instant, heartRate }: TimedReading): number {
    const bytes = this.#bytes;
    const key = this.#keys[customer] ?? Buffer.alloc(0);
    const beginning = this.#beginnings[customer] ?? Buffer.alloc(0);
    const time = this.#textOf(instant);
    const ending = `","heart_rate":${heartRate}}`;
    const valueLength = beginning.length + time.length + ending.length;
    // Attributes, the difference of the timestamp (none), and behind the value the number of headers: a byte each.
    const length = 3 + varintLength(delta) + varintLength(key.length) + key.length +
      varintLength(valueLength) +
      valueLength;
    let end = writeVarint(bytes, at, length);
    bytes[end++] = 0;
    bytes[end++] = 0;
    end = writeVarint(bytes, end, delta);
    end = writeVarint(bytes, end, key.length);
    end += key.copy(bytes, end);
    end = writeVarint(bytes, end, valueLength);
    end += beginning.copy(bytes, end);
    end += time.copy(bytes, end);
    end += bytes.write(ending, end, "latin1");
    bytes[end++] = 0;
    return end;
  }

  /** As toISOString() gives it; what changes within a second is three digits. */
  #textOf(instant: number): Buffer {
    const second = Math.floor(instant / SECOND_MS);
    if (second !== this.#second) {
      this.#second = second;
      this.#secondText = Buffer.from(new Date(second * SECOND_MS).toISOString());
    }
    const text = this.#secondText;
    const ms = instant - second * SECOND_MS;
    const digitsAt = text.length - 4;
    text[digitsAt] = 0x30 + Math.floor(ms / 100);
    text[digitsAt + 1] = 0x30 + Math.floor(ms / 10) % 10;
    text[digitsAt + 2] = 0x30 + ms % 10;
    return text;
  }
}

/** Numbers are written zigzag; ours are not negative, so that is twice the number. */
function writeVarint(bytes: Buffer, at: number, value: number): number {
  let rest = value * 2;
  for (; rest > 0x7f; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80;
  bytes[at++] = rest;
  return at;
}

function varintLength(value: number): number {
  const twice = value * 2;
  return twice < 0x80 ? 1 : twice < 0x4000 ? 2 : twice < 0x20_0000 ? 3 : 4;
}
