/** The customers of a batch, each with a number: their ids are kept once, as bytes. */
import { Buffer } from "node:buffer";

/** Multiplier and start of FNV-1a, 32 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
const FNV_PRIME = 0x01000193;
const FNV_START = 0x811c9dc5;
const EMPTY = -1;
/** Memory for the first customers; more is taken when they are longer. */
const USUAL_BYTES = 16;
const MOST_FIRST_BYTES = 4_096;
/**
 * Slots that are looked at before a customer goes to the overflow map. In a table that is half full an ordinary id needs
 * two or three. FNV-1a has no seed, so somebody who chooses the ids can give all of them one hash.
 */
const MOST_PROBES = 8;
/** Bytes of an id that are compared at once, and the bits beside them for its place: more than a batch has customers. */
const KEY_BYTES = 5;
const PLACE_BITS = 24;
const PLACE_MASK = 2 ** PLACE_BITS - 1;
/** Not worth the numbers. */
const FEW = 8;
/** 128 characters of four bytes. */
const MOST_BYTES = 128 * 4;

export class Customers {
  /** UTF-8 of all, one behind the other. */
  #bytes: Buffer;
  /** Where each one's bytes begin; and behind the last, where they end. */
  readonly #starts: number[] = [0];
  readonly #slots: Int32Array;
  readonly #hashes: number[] = [];
  /** Customers that found no slot, by their bytes as text. The engine's hash of a text has a secret seed. */
  readonly #overflow = new Map<string, number>();

  /** @param most how many different ones will be added, at most */
  constructor(most: number) {
    this.#bytes = Buffer.allocUnsafeSlow(Math.min(MOST_FIRST_BYTES, most * USUAL_BYTES));
    // A power of two, at most half full, so that probing mostly stays short.
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(Math.max(1, most) * 2))).fill(EMPTY);
  }

  get count(): number {
    return this.#hashes.length;
  }

  /** The number of the customer with these bytes: 0 for the first that was seen, 1 for the next. */
  number(source: Uint8Array, from: number, end: number): number {
    let hash = FNV_START;
    for (let at = from; at < end; at++) hash = Math.imul(hash ^ (source[at] ?? 0), FNV_PRIME);
    const mask = this.#slots.length - 1;
    // FNV's low bits vary least with the last characters: fold the high ones in.
    const first = hash ^ (hash >>> 15);
    for (let probe = 0; probe < MOST_PROBES; probe++) {
      const slot = (first + probe) & mask;
      const known = this.#slots[slot] ?? EMPTY;
      if (known === EMPTY) {
        this.#slots[slot] = this.count;
        return this.#add(source, from, end, hash);
      }
      if (this.#hashes[known] === hash && this.#is(known, source, from, end)) return known;
    }
    // V8 hashes a text of digits without its seed; behind a letter no text is a number.
    const key = `c${Buffer.from(source.buffer, source.byteOffset + from, end - from).toString("latin1")}`;
    const known = this.#overflow.get(key);
    if (known !== undefined) return known;
    this.#overflow.set(key, this.count);
    return this.#add(source, from, end, hash);
  }

  /** The number of a customer of others. */
  numberOf(others: Customers, customer: number): number {
    return this.number(others.#bytes, others.#starts[customer] ?? 0, others.#starts[customer + 1] ?? 0);
  }

  bytes(customer: number): Buffer {
    return this.#bytes.subarray(this.#starts[customer], this.#starts[customer + 1]);
  }

  text(customer: number): string {
    return this.bytes(customer).toString();
  }

  /** @returns how many bytes were copied */
  copy(customer: number, target: Buffer, at: number): number {
    const start = this.#starts[customer] ?? 0;
    const end = this.#starts[customer + 1] ?? start;
    // Shorter than what a call of copy() costs.
    for (let from = start; from < end; from++) target[at + from - start] = this.#bytes[from] ?? 0;
    return end - start;
  }

  /** The place of each in the order of bytes, which is that of PostgreSQL's collation "C". */
  ranks(): Int32Array {
    const ordered = Int32Array.from({ length: this.count }, (_, customer) => customer);
    this.#order(ordered, 0);
    const ranks = new Int32Array(this.count);
    ordered.forEach((customer, rank) => ranks[customer] = rank);
    return ranks;
  }

  /**
   * Orders customers that have their first bytes in common. The next bytes are compared as numbers, with the place of each
   * behind them: a call for each comparison costs ten times as much.
   */
  #order(customers: Int32Array, depth: number): void {
    if (customers.length <= FEW || depth > MOST_BYTES) {
      customers.sort((a, b) => Buffer.compare(this.bytes(a), this.bytes(b)));
      return;
    }
    const keys = new BigUint64Array(customers.length);
    // The lower half comes first on every processor that Deno runs on.
    const halves = new Uint32Array(keys.buffer);
    customers.forEach((customer, place) => {
      const from = (this.#starts[customer] ?? 0) + depth;
      const end = this.#starts[customer + 1] ?? 0;
      const byte = (index: number) => from + index < end ? this.#bytes[from + index] ?? 0 : 0;
      halves[2 * place] = byte(4) << PLACE_BITS | place;
      halves[2 * place + 1] = byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
    });
    keys.sort();
    const before = customers.slice();
    const lower = (place: number) => halves[2 * place] ?? 0;
    for (let place = 0, first = 0; place < customers.length; place++) {
      customers[place] = before[lower(place) & PLACE_MASK] ?? 0;
      const continues = halves[2 * place + 1] === halves[2 * place + 3] &&
        lower(place) >>> PLACE_BITS === lower(place + 1) >>> PLACE_BITS;
      if (continues) continue;
      if (place > first) this.#order(customers.subarray(first, place + 1), depth + KEY_BYTES);
      first = place + 1;
    }
  }

  #add(source: Uint8Array, from: number, end: number, hash: number): number {
    const start = this.#starts.at(-1) ?? 0;
    const needed = start + end - from;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, start);
      this.#bytes = larger;
    }
    this.#bytes.set(source.subarray(from, end), start);
    this.#starts.push(needed);
    return this.#hashes.push(hash) - 1;
  }

  #is(customer: number, source: Uint8Array, from: number, end: number): boolean {
    const start = this.#starts[customer] ?? 0;
    if ((this.#starts[customer + 1] ?? 0) - start !== end - from) return false;
    for (let at = from; at < end; at++) {
      if (this.#bytes[start + at - from] !== source[at]) return false;
    }
    return true;
  }
}
