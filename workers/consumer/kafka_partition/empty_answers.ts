/**
 * Counts a broker's answers without records for one partition whose log goes on. Either compaction removed everything up
 * to the end of the log, or the broker did not send what it has: Kafka answers like that, without an error, while tiered
 * storage is late or over its quota.
 */
import { backoffMs } from "../../_shared/backoff.ts";
import type { MonotonicClock } from "../health/progress.ts";

/** After this many in a row the broker is asked for that partition alone: it owes at least one batch then. */
const SUSPICIOUS = 2;
/** The partition is reported as not ready once it was silent for this long. A single late answer is not reported. */
const REPORTED_MS = 2_000;
/** The end of a log is believed to be empty after this many answers to the question alone, ... */
const PROVING_ANSWERS = 30;
/** ... over at least this time. Outages of a storage behind the broker are mostly shorter. */
const PROVING_MS = 180_000;
/** The topic's settings must have been read this recently. Longer than the longest pause between two questions. */
const SETTINGS_AGE_MS = 15_000;

/** Of one partition, since its last record or since it moved to another offset. */
export class EmptyAnswers {
  readonly #clock: MonotonicClock;
  #inARow = 0;
  /** Answers to the question for this partition alone. */
  #alone = 0;
  #since = 0;
  #pausedUntil = 0;
  /** Counted while the end of the log stands still. */
  #proof = { end: -1, since: 0, answers: 0 };
  #explainedAt = -Infinity;

  constructor(clock: MonotonicClock) {
    this.#clock = clock;
  }

  /** Whether the partition should be asked for alone. */
  get areSuspicious(): boolean {
    return this.#inARow >= SUSPICIOUS;
  }

  /** Whether the broker sends nothing even when it is asked for this partition alone. */
  get areSilence(): boolean {
    return this.#alone > 0;
  }

  /** Milliseconds since the first answer to the question alone. */
  get silentMs(): number {
    return this.areSilence ? this.#clock() - this.#since : 0;
  }

  get areReported(): boolean {
    return this.silentMs >= REPORTED_MS;
  }

  /** Whether nothing but the topic's settings is missing to believe that the end of the log is empty. */
  get areProof(): boolean {
    return this.#proof.answers >= PROVING_ANSWERS && this.#clock() - this.#proof.since >= PROVING_MS;
  }

  /** How long the partition is not to be asked for, milliseconds; 0 when it may be. */
  get pauseMs(): number {
    return this.areSuspicious ? Math.max(0, this.#pausedUntil - this.#clock()) : 0;
  }

  /**
   * @param alone whether nothing else was asked for
   * @param throttled whether a quota held records back, in which case the answer says nothing
   * @param end of the log, as the answer says
   * @returns whether the log is known by now to hold no record up to its end
   */
  add(
    { alone, throttled, end }: { readonly alone: boolean; readonly throttled: boolean; readonly end: number },
  ): boolean {
    // A quota may last: the other partitions have their turn before this one is asked for alone again.
    this.#inARow = throttled ? 0 : this.#inARow + 1;
    if (!alone || throttled) return false;
    const now = this.#clock();
    if (!this.areSilence) this.#since = now;
    this.#pausedUntil = now + backoffMs(++this.#alone);
    // A log that grows has records at its end, since compaction leaves the newest segment alone.
    if (end !== this.#proof.end) this.#proof = { end, since: now, answers: 0 };
    this.#proof.answers++;
    return this.areProof && now - this.#explainedAt <= SETTINGS_AGE_MS;
  }

  /** The topic's settings, read just now, say that compaction is the only explanation. The next answer may decide. */
  explain(): void {
    this.#explainedAt = this.#clock();
  }

  forget(): void {
    this.#inARow = 0;
    this.#alone = 0;
    this.#proof = { end: -1, since: 0, answers: 0 };
    this.#explainedAt = -Infinity;
  }
}
