/**
 * Memory that all partitions of this consumer share for records that are fetched and not written yet. A part of its own
 * for each would have to be too small to read well from, or be too much with hundreds of them.
 */
export class Room {
  readonly #bytes: number;
  #held = 0;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** Nobody asks for more until something is written. What is under way comes in all the same. */
  get isFull(): boolean {
    return this.#held >= this.#bytes;
  }

  take(bytes: number): void {
    this.#held += bytes;
  }

  give(bytes: number): void {
    this.#held -= bytes;
  }
}
