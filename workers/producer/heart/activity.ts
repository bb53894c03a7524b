/**
 * Folder `heart`: computes the heart rates of synthetic customers from the seed and the time. It never reads a clock, and knows
 * nothing of records or Kafka.
 *
 * This file: periods of exercise, and how the heart follows them.
 */
import { ExponentialApproach, isAwake, type Person } from "./person.ts";
import type { Random } from "./random.ts";

/**
 * Light, moderate and vigorous exercise. `share`: of all exercises. `reserve`: share of the heart-rate reserve (maximal minus
 * resting rate). `cadence`: steps per minute. A week has about 200 minutes of moderate and 60 of vigorous exercise.
 * docs/decisions/0005-synthetic-heart-rates.md names the source of every figure in this folder.
 */
const KINDS = [
  { share: 0.885, reserve: [0.08, 0.35], medianMinutes: 6, cadence: [85, 115] },
  { share: 0.1, reserve: [0.4, 0.59], medianMinutes: 15, cadence: [105, 135] },
  { share: 0.015, reserve: [0.6, 0.89], medianMinutes: 30, cadence: [150, 180] },
] as const;
/** 1.2 exercises per hour awake. */
const MEAN_PAUSE_SECONDS = 3600 / 1.2;

export interface Exercise {
  /** Share of the heart-rate reserve that the heart approaches during the exercise, 0 to 1. */
  readonly reserve: number;
  readonly cadence: number;
  readonly fromSeconds: number;
  readonly toSeconds: number;
}

export class Activity {
  exercise: Exercise | undefined;
  readonly #reserveInUse: ExponentialApproach;
  #nextSeconds: number;
  /** Time constant of the recovery: 55 s after light work, 175 s after a maximal effort. */
  #recoverySeconds = 60;

  constructor(private readonly person: Person, private readonly random: Random, startSeconds: number) {
    this.#reserveInUse = new ExponentialApproach(startSeconds);
    this.#nextSeconds = startSeconds + random.exponential(MEAN_PAUSE_SECONDS);
  }

  /** Share of the heart-rate reserve in use, 0 to 1. */
  get reserve(): number {
    return this.#reserveInUse.value;
  }

  /** Beats per minute above the quiet rate. */
  get bpm(): number {
    return this.reserve * (this.person.maximalBpm - this.person.restingBpm);
  }

  advance(toSeconds: number): void {
    while (this.#nextSeconds <= toSeconds) {
      this.#relax(this.#nextSeconds);
      this.exercise = this.exercise === undefined ? this.#begin(this.#nextSeconds) : undefined;
      this.#nextSeconds = this.exercise?.toSeconds ??
        this.#nextSeconds + this.random.exponential(MEAN_PAUSE_SECONDS);
    }
    this.#relax(toSeconds);
  }

  #begin(fromSeconds: number): Exercise | undefined {
    let draw = this.random.uniform();
    const kind = KINDS.find(({ share }) => (draw -= share) < 0) ?? KINDS[0];
    const reserve = this.random.between(kind.reserve);
    const cadence = this.random.between(kind.cadence);
    const seconds = this.random.lognormal(kind.medianMinutes * 60, 0.5);
    // The values are drawn before this check, so that the stream of random numbers does not depend on the time of day.
    if (!isAwake(this.person, fromSeconds)) return undefined;
    this.#recoverySeconds = 55 + 150 * reserve ** 2;
    return { reserve, cadence, fromSeconds, toSeconds: fromSeconds + seconds };
  }

  #relax(toSeconds: number): void {
    const target = this.exercise?.reserve ?? 0;
    const timeConstantSeconds = target > this.reserve ? this.person.onsetSeconds : this.#recoverySeconds;
    this.#reserveInUse.advance(target, timeConstantSeconds, toSeconds);
  }
}
