/**
 * Folder `heart`: the heart rates of synthetic customers, a pure function of the seed and the instants. It never looks
 * at a clock, and knows neither records nor Kafka.
 *
 * This file: bouts of activity, and how the heart follows them.
 */
import { ExponentialApproach, isAwake, type Person } from "./person.ts";
import type { Random } from "./random.ts";

/**
 * Shares of the heart-rate reserve (maximal minus resting) and cadences in steps a minute, each from and to.
 *
 * Light, moderate and vigorous are up to 39 %, 40 to 59 % and 60 to 89 % of the heart-rate reserve (ACSM position
 * stand, Med Sci Sports Exerc 2011; 43: 1334-1359). With the durations here a week holds about 200 minutes of moderate
 * and 60 of vigorous activity, near the 150 to 300 and 75 to 150 that the WHO recommends (2020).
 * Walking is done at 100 to 130 steps a minute (Tudor-Locke et al., Int J Behav Nutr Phys Act 2019; 16: 8), running at
 * about 150 to 180.
 */
const KINDS = [
  { share: 0.885, reserve: [0.08, 0.35], medianMinutes: 6, cadence: [85, 115] },
  { share: 0.1, reserve: [0.4, 0.59], medianMinutes: 15, cadence: [105, 135] },
  { share: 0.015, reserve: [0.6, 0.89], medianMinutes: 30, cadence: [150, 180] },
] as const;
/** Between two bouts, of which there are 1.2 in an hour awake. */
const MEAN_PAUSE_SECONDS = 3600 / 1.2;

export interface Bout {
  /** Where the heart would settle, as a share of its reserve. */
  readonly reserve: number;
  readonly cadence: number;
  readonly fromSeconds: number;
  readonly toSeconds: number;
}

export class Activity {
  bout: Bout | undefined;
  readonly #used: ExponentialApproach;
  #nextSeconds: number;
  /**
   * The time constant of the recovery, longer after hard work.
   *
   * After light cycling about 55 s (Wang, Su & Celler, IEEE EMBS 2006). After a maximal effort a fit man's heart has lost
   * 65 (12) bpm after three minutes (Eur J Appl Physiol 2014, doi 10.1007/s00421-014-2847-4), which 175 s gives for a
   * usual reserve; 12 bpm or less in the first minute is abnormal (Cole et al., N Engl J Med 1999; 341: 1351-1357).
   */
  #recoverySeconds = 60;

  constructor(private readonly person: Person, private readonly random: Random, startSeconds: number) {
    this.#used = new ExponentialApproach(startSeconds);
    this.#nextSeconds = startSeconds + random.exponential(MEAN_PAUSE_SECONDS);
  }

  /** How much of the reserve the heart uses, from 0 to 1. */
  get reserve(): number {
    return this.#used.value;
  }

  /** Beats per minute above the quiet rate. */
  get bpm(): number {
    return this.reserve * (this.person.maximalBpm - this.person.restingBpm);
  }

  /** Moves on, from one beginning or end of a bout to the next. */
  advance(toSeconds: number): void {
    while (this.#nextSeconds <= toSeconds) {
      this.#relax(this.#nextSeconds);
      this.bout = this.bout === undefined ? this.#begin(this.#nextSeconds) : undefined;
      this.#nextSeconds = this.bout?.toSeconds ??
        this.#nextSeconds + this.random.exponential(MEAN_PAUSE_SECONDS);
    }
    this.#relax(toSeconds);
  }

  #begin(fromSeconds: number): Bout | undefined {
    let left = this.random.uniform();
    const kind = KINDS.find(({ share }) => (left -= share) < 0) ?? KINDS[0];
    const reserve = this.random.between(kind.reserve);
    const cadence = this.random.between(kind.cadence);
    const seconds = this.random.lognormal(kind.medianMinutes * 60, 0.5);
    // Drawn and dropped by night, so that the numbers that follow are the same at any hour.
    if (!isAwake(this.person, fromSeconds)) return undefined;
    this.#recoverySeconds = 55 + 150 * reserve ** 2;
    return { reserve, cadence, fromSeconds, toSeconds: fromSeconds + seconds };
  }

  #relax(toSeconds: number): void {
    const target = this.bout?.reserve ?? 0;
    const constantSeconds = target > this.reserve ? this.person.onsetSeconds : this.#recoverySeconds;
    this.#used.advance(target, constantSeconds, toSeconds);
  }
}
