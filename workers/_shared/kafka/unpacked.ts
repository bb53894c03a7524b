/** What lz4 and snappy become: bytes that follow each other, some of them copied, some repeats of what came before. */
import { Buffer } from "node:buffer";

/** From this length on a call to copy many bytes takes less time than a loop. */
const LONG = 64;

export class Unpacked {
  readonly bytes: Buffer;
  #at = 0;

  /** @param length how many bytes it will be, exactly */
  constructor(length: number) {
    // Not of the pool, which would keep the memory of others.
    this.bytes = Buffer.allocUnsafeSlow(length);
  }

  get length(): number {
    return this.#at;
  }

  /** @throws RangeError when it has no room for so many, or the source ends before */
  append(source: Buffer, from: number, length: number): void {
    const { bytes } = this;
    const at = this.#at;
    const end = at + length;
    if (end > bytes.length || from + length > source.length) throw new RangeError("literals reach too far");
    if (length >= LONG) source.copy(bytes, at, from, from + length);
    else for (let to = at; to < end;) bytes[to++] = source[from++] ?? 0;
    this.#at = end;
  }

  /** @throws RangeError when it has no room for so many, or does not reach back so far */
  repeat(distance: number, length: number): void {
    const { bytes } = this;
    const at = this.#at;
    const end = at + length;
    if (end > bytes.length || distance === 0 || distance > at) {
      throw new RangeError("a repeat reaches too far");
    }
    let from = at - distance;
    if (distance === 1 && length >= LONG) bytes.fill(bytes[from] ?? 0, at, end);
    else if (length >= LONG && distance >= length) bytes.copyWithin(at, from, from + length);
    // A repeat may overlap what it makes: then it repeats itself.
    else for (let to = at; to < end;) bytes[to++] = bytes[from++] ?? 0;
    this.#at = end;
  }

  /** @throws RangeError when less came than was announced */
  finish(): Buffer {
    if (this.#at !== this.bytes.length) {
      throw new RangeError(`${this.#at} bytes came of ${this.bytes.length}`);
    }
    return this.bytes;
  }
}
