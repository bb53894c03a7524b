/** The customers of a batch, each with a number. Their ids are kept once, as bytes. */
import { Buffer } from "node:buffer";

/** Multiplier and start of FNV-1a, 32 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
const FNV_PRIME = 0x01000193;
const FNV_START = 0x811c9dc5;
const EMPTY = -1;
/** Memory for each of the first customers; it grows when their ids are longer. */
const USUAL_BYTES = 16;
const MOST_FIRST_BYTES = 4_096;
/**
 * Slots that are probed before a customer goes to the overflow map. In a half-full table, ordinary ids need two or three.
 * FNV-1a has no seed, so an attacker can choose ids that all have one hash.
 */
const MOST_PROBES = 8;
/** Bytes of an id that are compared at once, and the bits beside them for its place, enough for all customers of a batch. */
const KEY_BYTES = 5;
const PLACE_BITS = 24;
const PLACE_MASK = 2 ** PLACE_BITS - 1;
/** For so few, comparing bytes is cheaper than the keys. */
const FEW = 8;
/** 128 characters of four bytes. */
const MOST_BYTES = 128 * 4;

export class Customers {
  /** All ids in UTF-8, one after the other. */
  #bytes: Buffer;
  /** Where each id begins, and where the last one ends. */
  readonly #starts: number[] = [0];
  readonly #slots: Int32Array;
  readonly #hashes: number[] = [];
  /** Customers without a slot, by their bytes as text. V8's hash of a text has a secret seed. */
  readonly #overflow = new Map<string, number>();

  /** @param most different customers, at most */
  constructor(most: number) {
    this.#bytes = Buffer.allocUnsafeSlow(Math.min(MOST_FIRST_BYTES, most * USUAL_BYTES));
    // A power of two, at most half full, so that probing mostly stays short.
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(Math.max(1, most) * 2))).fill(EMPTY);
  }

  get count(): number {
    return this.#hashes.length;
  }

  /** The number of the customer with these bytes: 0 for the first one, 1 for the next. */
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
    // V8 hashes a text of digits without its seed: the letter prevents that.
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

  /** @returns how many bytes were copied */
  copy(customer: number, target: Buffer, at: number): number {
    const start = this.#starts[customer] ?? 0;
    const end = this.#starts[customer + 1] ?? start;
    // Faster than a call of Buffer.copy().
    for (let from = start; from < end; from++) target[at + from - start] = this.#bytes[from] ?? 0;
    return end - start;
  }

  /** The rank of each customer in the order of bytes, as in PostgreSQL's collation "C". */
  ranks(): Int32Array {
    const ordered = Int32Array.from({ length: this.count }, (_, customer) => customer);
    this.#order(ordered, 0);
    const ranks = new Int32Array(this.count);
    ordered.forEach((customer, rank) => ranks[customer] = rank);
    return ranks;
  }

  /**
   * Orders customers that share their first `depth` bytes. The next bytes, with the customer's place behind them, are sorted as
   * numbers: a function call for each comparison costs ten times as much.
   */
  #order(customers: Int32Array, depth: number): void {
    if (customers.length <= FEW || depth > MOST_BYTES) {
      customers.sort((a, b) => Buffer.compare(this.bytes(a), this.bytes(b)));
      return;
    }
    const keys = new BigUint64Array(customers.length);
    // Little-endian, as every processor that Deno runs on.
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
