/** A line for each event at human rates; under a flood a few samples and a count, so that a log stays readable. */
import type { Fields, Log } from "../../_shared/telemetry.ts";

/** More lines than this a second nobody reads. */
const LINES_PER_SECOND = 5;
const BURST = 20;

export class SampledLog {
  readonly #log: Log;
  readonly #event: string;
  readonly #nowMs: () => number;
  #tokens = BURST;
  #refilledAt: number;
  #suppressed = 0;
  #sample: Fields | undefined;

  constructor(log: Log, event: string, nowMs: () => number = () => performance.now()) {
    this.#log = log;
    this.#event = event;
    this.#nowMs = nowMs;
    this.#refilledAt = nowMs();
  }

  warning(message: string, fields: Fields): void {
    const now = this.#nowMs();
    this.#tokens = Math.min(BURST, this.#tokens + (now - this.#refilledAt) / 1000 * LINES_PER_SECOND);
    this.#refilledAt = now;
    if (this.#tokens >= 1) {
      this.#tokens--;
      this.#log.warning(this.#event, message, fields);
      return;
    }
    this.#suppressed++;
    this.#sample = fields;
  }

  /** Tells what was held back since the last call, with the newest of it as a sample. */
  summarise(): void {
    if (this.#suppressed === 0) return;
    const fields = { count: this.#suppressed, sample: this.#sample };
    this.#log.warning(
      `${this.#event}.suppressed`,
      `${this.#suppressed} more ${this.#event} events, not listed`,
      fields,
    );
    this.#suppressed = 0;
    this.#sample = undefined;
  }
}
