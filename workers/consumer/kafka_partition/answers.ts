/**
 * Folder `kafka_partition`: one assigned partition of the topic, with what was fetched of it, how far it is written, and in
 * which state it is. It never asks Kafka or PostgreSQL itself: it is told what they answered, and calls its ports. This
 * file says what brokers answered: whether the partition can be read at the moment, and when to ask again.
 */
import { backoffMs } from "../../_shared/backoff.ts";
import type { Offset } from "../../_shared/kafka/records.ts";
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

/** Of an answer without a record: nothing else was asked for; a quota held records back; others had filled it. */
export type Question = Readonly<Record<"alone" | "throttled" | "crowded", boolean>>;

/**
 * Empty answers are counted while the log goes on, since the last record or since the partition moved to another offset.
 * Either compaction removed everything up to the end of the log, or the broker did not send what it has: Kafka answers like
 * that, without an error, while tiered storage is late or over its quota.
 */
export class Answers {
  /** Since `failed`, until one `came`. */
  #isOut = false;
  #unreadable = { tries: 0, until: 0 };
  #emptyInARow = 0;
  /** Empty ones to the question for this partition alone. */
  #alone = 0;
  #since = 0;
  #pausedUntil = 0;
  /** Counted while the end of the log stands still. */
  #proof = { end: -1, since: 0, answers: 0 };
  #explainedAt = -Infinity;

  constructor(private readonly clock: MonotonicClock) {}

  /** Whether no record can come: the broker is away or silent, or what it sent cannot be read. */
  get areMissing(): boolean {
    return this.#isOut || this.#alone > 0;
  }

  /** Whether the partition should be asked for alone. */
  get areSuspicious(): boolean {
    return this.#emptyInARow >= SUSPICIOUS;
  }

  /** Whether the broker has sent nothing for a while even when it was asked for this partition alone. */
  get areSilence(): boolean {
    return this.#alone > 0 && this.clock() - this.#since >= REPORTED_MS;
  }

  /** Whether nothing but the topic's settings is missing to believe that the end of the log is empty. */
  get areProof(): boolean {
    return this.#proof.answers >= PROVING_ANSWERS && this.clock() - this.#proof.since >= PROVING_MS;
  }

  /** How long the partition is not to be asked for, milliseconds; 0 when it may be. */
  get pauseMs(): number {
    const silentMs = this.areSuspicious ? this.#pausedUntil - this.clock() : 0;
    return Math.max(0, silentMs, this.#unreadable.until - performance.now());
  }

  /** The broker did not answer, serves the partition no more, or there is none that does. */
  failed(): void {
    this.#isOut = true;
  }

  /** The broker answered, and serves the partition. */
  came(): void {
    this.#isOut = false;
  }

  /**
   * The batch where the partition goes on was read, or cannot be. Most likely it never can be, and each try may decompress
   * many megabytes; so the next one is seconds away, for it may have been damaged on the way or be deleted meanwhile.
   */
  read(isReadable: boolean): void {
    const { tries } = this.#unreadable;
    if (!isReadable) this.failed();
    const until = isReadable ? 0 : performance.now() + backoffMs(tries + 1);
    this.#unreadable = { tries: isReadable ? 0 : tries + 1, until };
  }

  /** @returns whether the log is known by now to hold no record up to this end */
  empty({ alone, throttled, crowded }: Question, end: Offset): boolean {
    if (crowded) return false;
    // A quota may last: the other partitions have their turn before this one is asked for alone again.
    this.#emptyInARow = throttled ? 0 : this.#emptyInARow + 1;
    if (!alone || throttled) return false;
    const now = this.clock();
    if (this.#alone === 0) this.#since = now;
    this.#pausedUntil = now + backoffMs(++this.#alone);
    // A log that grows has records at its end, since compaction leaves the newest segment alone.
    if (end !== this.#proof.end) this.#proof = { end, since: now, answers: 0 };
    this.#proof.answers++;
    return this.areProof && now - this.#explainedAt <= SETTINGS_AGE_MS;
  }

  /** The topic's settings, read just now, say that compaction is the only explanation. The next answer may decide. */
  explain(): void {
    this.#explainedAt = this.clock();
  }

  /** Reading goes on elsewhere. */
  moved(): void {
    this.#emptyInARow = 0;
    this.#alone = 0;
    this.#proof = { end: -1, since: 0, answers: 0 };
    this.#explainedAt = -Infinity;
    this.#unreadable.until = 0;
  }
}
