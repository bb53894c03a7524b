/** Readings as JSON, written side by side into memory that many of them share. */
import { Buffer } from "node:buffer";

/** Thousands of readings; it stays for as long as one of them is under way. */
const SHARED_BYTES = 256 * 1024;
/** Everything but the customer: an instant takes 30 bytes at most, a rate 25. */
const MOST_AROUND_CUSTOMER = 128;
const MINUTE_MS = 60_000;
const ZERO = 0x30;
const MIDDLE = Buffer.from('Z","heart_rate":');

/** What a customer's readings all begin with. */
export function beginningOf(customerId: string | number): Buffer {
  return Buffer.from(`{"customer_id":${JSON.stringify(customerId)},"timestamp":"`);
}

/** Writes what `JSON.stringify` gives, without a text and a copy in between. */
export class ReadingWriter {
  #bytes = Buffer.alloc(0);
  #at = 0;
  #minute = NaN;
  #minuteText = Buffer.alloc(0);

  /** A reading of a whole rate, after the customer's `beginningOf`. @param micros since the Unix epoch */
  write(beginning: Buffer, micros: number, heartRate: number): Buffer {
    const millis = Math.floor(micros / 1000);
    return this.#write(beginning, millis, micros - millis * 1000, heartRate);
  }

  /** The same of any year: a double holds the microseconds of the years 1684 to 2255 only. */
  writeExactly(beginning: Buffer, micros: bigint, heartRate: number): Buffer {
    const rest = (micros % 1000n + 1000n) % 1000n;
    return this.#write(beginning, Number((micros - rest) / 1000n), Number(rest), heartRate);
  }

  /** The instant as `formatInstant` gives it. @param rest microseconds within the millisecond */
  #write(beginning: Buffer, millis: number, rest: number, heartRate: number): Buffer {
    const most = beginning.length + MOST_AROUND_CUSTOMER;
    if (this.#bytes.length - this.#at < most) {
      this.#bytes = Buffer.allocUnsafeSlow(Math.max(most, SHARED_BYTES));
      this.#at = 0;
    }
    const bytes = this.#bytes;
    const start = this.#at;
    bytes.set(beginning, start);
    const minute = Math.floor(millis / MINUTE_MS);
    if (minute !== this.#minute) {
      this.#minuteText = Buffer.from(formatInstant(minute * MINUTE_MS * 1000).slice(0, -"SS.mmmZ".length));
      this.#minute = minute;
    }
    bytes.set(this.#minuteText, start + beginning.length);
    const within = millis - minute * MINUTE_MS;
    const seconds = Math.floor(within / 1000);
    let end = writeTwo(bytes, start + beginning.length + this.#minuteText.length, seconds);
    bytes[end++] = 0x2e; // .
    end = writeThree(bytes, end, within - seconds * 1000);
    if (rest !== 0) end = writeThree(bytes, end, rest);
    bytes.set(MIDDLE, end);
    end = writeWhole(bytes, end + MIDDLE.length, heartRate);
    bytes[end++] = 0x7d; // }
    this.#at = end;
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

/** ISO 8601 in UTC, with milliseconds, or microseconds where they matter. @param micros since the Unix epoch */
export function formatInstant(micros: number): string {
  const millis = Math.floor(micros / 1000);
  const rest = micros - millis * 1000;
  const text = new Date(millis).toISOString();
  return rest === 0 ? text : `${text.slice(0, -1)}${String(rest).padStart(3, "0")}Z`;
}
