/** Writes readings as JSON into buffers that many readings share, without a string and a copy for each reading. */
import { Buffer } from "node:buffer";

/** Room for thousands of readings. The memory stays allocated until the last of them is acknowledged. */
const BUFFER_BYTES = 256 * 1024;
/** An instant takes at most 30 bytes, a heart rate at most 25. */
const MAX_BYTES_AFTER_PREFIX = 128;
const MINUTE_MS = 60_000;
const [DOT, ZERO, CLOSING_BRACE] = [0x2e, 0x30, 0x7d];
const MIDDLE = Buffer.from('Z","heart_rate":');

/** Returns the bytes with which every reading of this customer begins. */
export function readingPrefix(customerId: string | number): Buffer {
  return Buffer.from(`{"customer_id":${JSON.stringify(customerId)},"timestamp":"`);
}

/** Produces the bytes that `JSON.stringify` would give. */
export class ReadingWriter {
  #bytes = Buffer.alloc(0);
  #used = 0;
  #minute = NaN;
  #minuteText = Buffer.alloc(0);

  /** @param micros microseconds since the Unix epoch; a double is exact for the years 1684 to 2255 only */
  write(prefix: Buffer, micros: number, heartRate: number): Buffer {
    const millis = Math.floor(micros / 1000);
    return this.#write(prefix, millis, micros - millis * 1000, heartRate);
  }

  /** Slower than `write`, and exact for every year. */
  writeExactly(prefix: Buffer, micros: bigint, heartRate: number): Buffer {
    const extraMicros = (micros % 1000n + 1000n) % 1000n;
    return this.#write(prefix, Number((micros - extraMicros) / 1000n), Number(extraMicros), heartRate);
  }

  #write(prefix: Buffer, millis: number, extraMicros: number, heartRate: number): Buffer {
    const needed = prefix.length + MAX_BYTES_AFTER_PREFIX;
    if (this.#bytes.length - this.#used < needed) {
      this.#bytes = Buffer.allocUnsafeSlow(Math.max(needed, BUFFER_BYTES));
      this.#used = 0;
    }
    const bytes = this.#bytes;
    const start = this.#used;
    bytes.set(prefix, start);
    const minute = Math.floor(millis / MINUTE_MS);
    if (minute !== this.#minute) {
      this.#minuteText = Buffer.from(formatInstant(minute * MINUTE_MS * 1000).slice(0, -"SS.mmmZ".length));
      this.#minute = minute;
    }
    bytes.set(this.#minuteText, start + prefix.length);
    const millisOfMinute = millis - minute * MINUTE_MS;
    const second = Math.floor(millisOfMinute / 1000);
    let end = writeTwo(bytes, start + prefix.length + this.#minuteText.length, second);
    bytes[end++] = DOT;
    end = writeThree(bytes, end, millisOfMinute - second * 1000);
    if (extraMicros !== 0) end = writeThree(bytes, end, extraMicros);
    bytes.set(MIDDLE, end);
    end = writeWhole(bytes, end + MIDDLE.length, heartRate);
    bytes[end++] = CLOSING_BRACE;
    this.#used = end;
    return bytes.subarray(start, end);
  }
}

function writeWhole(bytes: Buffer, at: number, value: number): number {
  if (value >= 100 && value < 1_000) return writeThree(bytes, at, value);
  if (value >= 10 && value < 100) return writeTwo(bytes, at, value);
  return at + bytes.write(String(value), at, "latin1");
}

function writeTwo(bytes: Buffer, at: number, value: number): number {
  bytes[at] = ZERO + Math.floor(value / 10);
  bytes[at + 1] = ZERO + value % 10;
  return at + 2;
}

function writeThree(bytes: Buffer, at: number, value: number): number {
  bytes[at] = ZERO + Math.floor(value / 100);
  return writeTwo(bytes, at + 1, value % 100);
}

/** ISO 8601 in UTC, with milliseconds, or with microseconds when they are not 0. */
export function formatInstant(micros: number): string {
  const millis = Math.floor(micros / 1000);
  const extraMicros = micros - millis * 1000;
  const text = new Date(millis).toISOString();
  return extraMicros === 0 ? text : `${text.slice(0, -1)}${String(extraMicros).padStart(3, "0")}Z`;
}
