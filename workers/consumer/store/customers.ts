/** Numbers the customers of a batch, and keeps each id once, as bytes. */
import { Buffer } from "node:buffer";

/** FNV-1a, 32 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
const FNV_PRIME = 0x01000193;
const FNV_START = 0x811c9dc5;
const EMPTY = -1;
const TYPICAL_ID_BYTES = 16;
const MAX_INITIAL_BYTES = 4_096;
/** Ordinary ids need two or three probes. FNV-1a has no seed, so an attacker can choose ids that share one hash. */
const MAX_PROBES = 8;
/** A sort key has 64 bits: 5 bytes of the id, then 24 bits for its index, which is enough for all customers of a batch. */
const KEY_BYTES = 5;
const INDEX_BITS = 24;
const INDEX_MASK = 2 ** INDEX_BITS - 1;
/** Up to this number, comparing bytes is cheaper than building keys. */
const MAX_COMPARED = 8;
/** 128 characters of four bytes. */
export const MAX_CUSTOMER_BYTES = 128 * 4;

export class Customers {
  /** All ids in UTF-8. Id `n` is from `#starts[n]` to `#starts[n + 1]`. */
  #bytes: Buffer;
  readonly #starts: number[] = [0];
  readonly #slots: Int32Array;
  readonly #hashes: number[] = [];
  /** Customers without a slot. V8 hashes strings with a secret seed, so an attacker cannot choose ids that collide here. */
  readonly #overflow = new Map<string, number>();

  constructor(most: number) {
    this.#bytes = Buffer.allocUnsafeSlow(Math.min(MAX_INITIAL_BYTES, most * TYPICAL_ID_BYTES));
    // A power of two, at most half full.
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(Math.max(1, most) * 2))).fill(EMPTY);
  }

  get count(): number {
    return this.#hashes.length;
  }

  /** Returns the number of this id. The first new id gets 0, the next one 1. */
  number(source: Uint8Array, from: number, end: number): number {
    let hash = FNV_START;
    for (let at = from; at < end; at++) hash = Math.imul(hash ^ (source[at] ?? 0), FNV_PRIME);
    const mask = this.#slots.length - 1;
    // The last characters of an id hardly change FNV's low bits, so the high bits are mixed in.
    const first = hash ^ (hash >>> 15);
    for (let probe = 0; probe < MAX_PROBES; probe++) {
      const slot = (first + probe) & mask;
      const known = this.#slots[slot] ?? EMPTY;
      if (known === EMPTY) {
        this.#slots[slot] = this.count;
        return this.#add(source, from, end, hash);
      }
      if (this.#hashes[known] === hash && this.#hasBytes(known, source, from, end)) return known;
    }
    // The letter is needed because V8 hashes a string of digits without its seed.
    const key = `c${Buffer.from(source.buffer, source.byteOffset + from, end - from).toString("latin1")}`;
    const known = this.#overflow.get(key);
    if (known !== undefined) return known;
    this.#overflow.set(key, this.count);
    return this.#add(source, from, end, hash);
  }

  numberOf(others: Customers, customer: number): number {
    return this.number(others.#bytes, others.#starts[customer] ?? 0, others.#starts[customer + 1] ?? 0);
  }

  bytes(customer: number): Buffer {
    return this.#bytes.subarray(this.#starts[customer], this.#starts[customer + 1]);
  }

  text(customer: number): string {
    return this.bytes(customer).toString();
  }

  copy(customer: number, target: Buffer, at: number): number {
    const start = this.#starts[customer] ?? 0;
    const end = this.#starts[customer + 1] ?? start;
    // This loop is faster than a call of Buffer.copy().
    for (let from = start; from < end; from++) target[at + from - start] = this.#bytes[from] ?? 0;
    return end - start;
  }

  /** The rank of each customer in byte order, which is PostgreSQL's collation "C". */
  ranks(): Int32Array {
    const ordered = Int32Array.from({ length: this.count }, (_, customer) => customer);
    this.#order(ordered, 0);
    const ranks = new Int32Array(this.count);
    ordered.forEach((customer, rank) => ranks[customer] = rank);
    return ranks;
  }

  /** Sorts customers whose first `depth` bytes are equal. It sorts numbers, because a comparison function costs ten times as much. */
  #order(customers: Int32Array, depth: number): void {
    if (customers.length <= MAX_COMPARED || depth > MAX_CUSTOMER_BYTES) {
      customers.sort((a, b) => Buffer.compare(this.bytes(a), this.bytes(b)));
      return;
    }
    const keys = new BigUint64Array(customers.length);
    // Relies on little-endian byte order, as every processor that Deno supports has.
    const halves = new Uint32Array(keys.buffer);
    customers.forEach((customer, index) => {
      const from = (this.#starts[customer] ?? 0) + depth;
      const end = this.#starts[customer + 1] ?? 0;
      const byte = (position: number) => from + position < end ? this.#bytes[from + position] ?? 0 : 0;
      halves[2 * index] = byte(4) << INDEX_BITS | index;
      halves[2 * index + 1] = byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
    });
    keys.sort();
    const unsorted = customers.slice();
    const lower = (index: number) => halves[2 * index] ?? 0;
    for (let index = 0, first = 0; index < customers.length; index++) {
      customers[index] = unsorted[lower(index) & INDEX_MASK] ?? 0;
      const isNextEqual = halves[2 * index + 1] === halves[2 * index + 3] &&
        lower(index) >>> INDEX_BITS === lower(index + 1) >>> INDEX_BITS;
      if (isNextEqual) continue;
      if (index > first) this.#order(customers.subarray(first, index + 1), depth + KEY_BYTES);
      first = index + 1;
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

  #hasBytes(customer: number, source: Uint8Array, from: number, end: number): boolean {
    const start = this.#starts[customer] ?? 0;
    if ((this.#starts[customer + 1] ?? 0) - start !== end - from) return false;
    for (let at = from; at < end; at++) {
      if (this.#bytes[start + at - from] !== source[at]) return false;
    }
    return true;
  }
}
