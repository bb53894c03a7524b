import { backoffMs } from "../../_shared/backoff.ts";

/**
 * A batch at the place where a partition goes on that cannot be read. Most likely it never can be, and each try may
 * decompress many megabytes; so it is asked for again, for it may have been damaged on the way or be deleted meanwhile,
 * but seconds apart, and what the broker has of other partitions does not wait for it.
 */
export class Unreadable {
  #tries = 0;
  #until = 0;

  /** Whether the last answer could not be read. */
  get isKnown(): boolean {
    return this.#tries > 0;
  }

  /** How long it shall be left alone, milliseconds; 0 when it may be asked for. */
  get pauseMs(): number {
    return Math.max(0, this.#until - performance.now());
  }

  /** Another try failed. */
  add(): void {
    this.#until = performance.now() + backoffMs(++this.#tries);
  }

  forget(): void {
    this.#tries = 0;
    this.#until = 0;
  }
}
