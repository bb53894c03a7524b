/** Folder `live`: the event streams. All viewers of a feed share its queries and its bytes. This file: new readings of a customer. */
import { TAIL_ROWS } from "../queries/readings.ts";
import type { Reading } from "../view/view.ts";

/**
 * Each poll reads the last minute again. A reading can be committed after a newer one, and a page is loaded before its stream
 * begins.
 */
const OVERLAP_MS = 60_000;

/** Remembers which readings of a customer were sent, and where the next query begins. */
export class CustomerTail {
  #newest: number;
  #after: number;
  #sent = new Set<number>();

  /** @param latest the instant of the latest reading on the page */
  constructor(latest: number) {
    // A reading from the future must not hide the readings before it.
    this.#newest = Math.min(latest, Date.now());
    this.#after = this.#newest - OVERLAP_MS;
  }

  get after(): number {
    return this.#after;
  }

  unsent<R extends Reading>(window: readonly R[]): R[] {
    return window.filter(({ ts }) => !this.#sent.has(ts));
  }

  /** @param window the readings after `after`, at most TAIL_ROWS */
  markSent(window: readonly Reading[]): void {
    const last = window.at(-1)?.ts ?? this.#newest;
    this.#newest = Math.min(Math.max(this.#newest, last), Date.now());
    const from = this.#newest - OVERLAP_MS;
    this.#sent = new Set([...this.#sent, ...window.map(({ ts }) => ts)].filter((ts) => ts > from));
    this.#after = window.length < TAIL_ROWS ? from : last;
  }
}
