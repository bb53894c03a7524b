import { backoffMs } from "../../_shared/backoff.ts";
import type { Offset } from "../../_shared/kafka/records.ts";
import type { MonotonicClock } from "../health/health_state.ts";

/** After this many empty answers in a row the partition is fetched alone, because then the broker must send one batch. */
const EMPTY_BEFORE_ISOLATION = 2;
/** Time of silence before the partition is reported as not ready: a single late answer is normal. */
const SILENT_AFTER_MS = 2_000;
/** This many empty answers over this time prove that the end of a log is empty. Most outages of tiered storage are shorter. */
const PROVING_ANSWERS = 30;
const PROVING_MS = 180_000;
/** Maximum age of the topic's settings in that proof; longer than the longest pause between two fetches. */
const SETTINGS_AGE_MS = 15_000;

/** `throttled`: a quota held the response back. `possiblyTruncated`: other partitions may have filled the response. */
export type FetchConditions = Readonly<Record<"alone" | "throttled" | "possiblyTruncated", boolean>>;

/**
 * Whether the partition can be read at the moment, and when to fetch it again. An empty answer before the end of the log means
 * that compaction removed the rest, or that tiered storage is late or over its quota, which Kafka does not report as an error.
 */
export class FetchStatus {
  #isUnavailable = false;
  #corrupt = { tries: 0, until: 0 };
  #emptyInARow = 0;
  #emptyAlone = 0;
  #silentSince = 0;
  #pausedUntil = 0;
  #proof = { end: -1, since: 0, answers: 0 };
  #explainedAt = -Infinity;

  constructor(private readonly clock: MonotonicClock) {}

  get cannotFetch(): boolean {
    return this.#isUnavailable || this.#emptyAlone > 0;
  }

  get needsIsolatedFetch(): boolean {
    return this.#emptyInARow >= EMPTY_BEFORE_ISOLATION;
  }

  get isBrokerSilent(): boolean {
    return this.#emptyAlone > 0 && this.clock() - this.#silentSince >= SILENT_AFTER_MS;
  }

  /** Whether {@link explain} would complete the proof that the rest of the log is empty. */
  get isProvenEmpty(): boolean {
    return this.#proof.answers >= PROVING_ANSWERS && this.clock() - this.#proof.since >= PROVING_MS;
  }

  /** Time until the next fetch is allowed; 0 when it is allowed now. */
  get pauseMs(): number {
    const silentMs = this.needsIsolatedFetch ? this.#pausedUntil - this.clock() : 0;
    return Math.max(0, silentMs, this.#corrupt.until - performance.now());
  }

  /** The broker is unavailable, or no longer the leader. */
  failed(): void {
    this.#isUnavailable = true;
  }

  answered(): void {
    this.#isUnavailable = false;
  }

  /** A damaged batch may be intact at the next fetch. The pauses grow, because each try can decompress many megabytes. */
  decoded(isReadable: boolean): void {
    const tries = isReadable ? 0 : this.#corrupt.tries + 1;
    this.#corrupt = { tries, until: isReadable ? 0 : performance.now() + backoffMs(tries) };
    if (!isReadable) this.failed();
  }

  /** @returns whether the log is proven to hold no record up to `end` */
  empty({ alone, throttled, possiblyTruncated }: FetchConditions, end: Offset): boolean {
    if (possiblyTruncated) return false;
    // A quota can last long, so the other partitions are fetched before this one is isolated again.
    this.#emptyInARow = throttled ? 0 : this.#emptyInARow + 1;
    if (!alone || throttled) return false;
    const now = this.clock();
    if (this.#emptyAlone === 0) this.#silentSince = now;
    this.#pausedUntil = now + backoffMs(++this.#emptyAlone);
    // If the log grew, the proof starts again: its end has records, because compaction never removes those of the newest segment.
    if (end !== this.#proof.end) this.#proof = { end, since: now, answers: 0 };
    this.#proof.answers++;
    return this.isProvenEmpty && now - this.#explainedAt <= SETTINGS_AGE_MS;
  }

  /** The topic's settings were read just now, and leave compaction as the only explanation of the silence. */
  explain(): void {
    this.#explainedAt = this.clock();
  }

  moved(): void {
    this.#emptyInARow = 0;
    this.#emptyAlone = 0;
    this.#proof = { end: -1, since: 0, answers: 0 };
    this.#explainedAt = -Infinity;
    this.#corrupt.until = 0;
  }
}
