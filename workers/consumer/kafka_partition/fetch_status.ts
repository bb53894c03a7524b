/**
 * What brokers answered, so whether the partition can be read at the moment, and when to fetch again.
 */
import { backoffMs } from "../../_shared/backoff.ts";
import type { Offset } from "../../_shared/kafka/records.ts";
import type { MonotonicClock } from "../health/health_state.ts";

/** After this many in a row the partition is fetched alone: then the broker has to send at least one batch. */
const SUSPICIOUS = 2;
/** The partition is reported as not ready once it was silent for this long. A single late answer is not reported. */
const REPORTED_MS = 2_000;
/** The end of a log counts as empty after this many answers to a fetch for the partition alone, ... */
const PROVING_ANSWERS = 30;
/** ... over at least this time. Outages of a storage behind the broker are mostly shorter. */
const PROVING_MS = 180_000;
/** The topic's settings must have been read this recently. Longer than the longest pause between two questions. */
const SETTINGS_AGE_MS = 15_000;

/** `alone`: nothing else was fetched. `throttled`: by a quota. `possiblyTruncated`: other partitions may have filled the answer. */
export type FetchConditions = Readonly<Record<"alone" | "throttled" | "possiblyTruncated", boolean>>;

/**
 * Counts empty answers before the end of the log, since the last record or since the partition moved to another offset.
 * Either compaction removed all records up to the end, or the broker does not send them: Kafka answers like that, without an
 * error, while tiered storage is late or over its quota.
 */
export class FetchStatus {
  #isUnavailable = false;
  #corrupt = { tries: 0, until: 0 };
  #emptyInARow = 0;
  /** Empty answers to fetches for this partition alone. */
  #alone = 0;
  #since = 0;
  #pausedUntil = 0;
  /** Counted while the end of the log stands still. */
  #proof = { end: -1, since: 0, answers: 0 };
  #explainedAt = -Infinity;

  constructor(private readonly clock: MonotonicClock) {}

  /** Whether no record can come: the broker is away or silent, or its records cannot be read. */
  get cannotFetch(): boolean {
    return this.#isUnavailable || this.#alone > 0;
  }

  /** Whether the partition should be fetched alone. */
  get needsIsolatedFetch(): boolean {
    return this.#emptyInARow >= SUSPICIOUS;
  }

  /** Whether the broker has sent nothing for a while, even for this partition alone. */
  get isBrokerSilent(): boolean {
    return this.#alone > 0 && this.clock() - this.#since >= REPORTED_MS;
  }

  /** Whether only the topic's settings are missing to count the end of the log as empty. */
  get isProvenEmpty(): boolean {
    return this.#proof.answers >= PROVING_ANSWERS && this.clock() - this.#proof.since >= PROVING_MS;
  }

  /** How long not to fetch the partition, milliseconds; 0 when it may be fetched now. */
  get pauseMs(): number {
    const silentMs = this.needsIsolatedFetch ? this.#pausedUntil - this.clock() : 0;
    return Math.max(0, silentMs, this.#corrupt.until - performance.now());
  }

  /** The broker did not answer or no longer serves the partition, or no broker does. */
  failed(): void {
    this.#isUnavailable = true;
  }

  /** The broker answered, and serves the partition. */
  answered(): void {
    this.#isUnavailable = false;
  }

  /**
   * An unreadable batch is tried again after seconds, since each try may decompress many megabytes: it may have been damaged
   * on the way, or be deleted meanwhile.
   */
  decoded(isReadable: boolean): void {
    const { tries } = this.#corrupt;
    if (!isReadable) this.failed();
    const until = isReadable ? 0 : performance.now() + backoffMs(tries + 1);
    this.#corrupt = { tries: isReadable ? 0 : tries + 1, until };
  }

  /** @returns whether the log is proven to hold no record up to this end */
  empty({ alone, throttled, possiblyTruncated }: FetchConditions, end: Offset): boolean {
    if (possiblyTruncated) return false;
    // A quota may last: other partitions have their turn before this one is fetched alone again.
    this.#emptyInARow = throttled ? 0 : this.#emptyInARow + 1;
    if (!alone || throttled) return false;
    const now = this.clock();
    if (this.#alone === 0) this.#since = now;
    this.#pausedUntil = now + backoffMs(++this.#alone);
    // A log that grows has records at its end, since compaction leaves the newest segment alone.
    if (end !== this.#proof.end) this.#proof = { end, since: now, answers: 0 };
    this.#proof.answers++;
    return this.isProvenEmpty && now - this.#explainedAt <= SETTINGS_AGE_MS;
  }

  /** The topic's settings, read just now, leave compaction as the only explanation: the next answer may complete the proof. */
  explain(): void {
    this.#explainedAt = this.clock();
  }

  /** Reading continues at another offset. */
  moved(): void {
    this.#emptyInARow = 0;
    this.#alone = 0;
    this.#proof = { end: -1, since: 0, answers: 0 };
    this.#explainedAt = -Infinity;
    this.#corrupt.until = 0;
  }
}
