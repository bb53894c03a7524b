/** The noise of a healthy heart: correlated in time, larger at rest than in effort. */
import type { Person } from "./person.ts";
import type { Random } from "./random.ts";

/** A mean-reverting random walk (Ornstein and Uhlenbeck); sampled at even steps it is an AR(1) process. */
class Wander {
  #value: number;
  #stepSeconds = NaN;
  #kept = 0;
  #fresh = 0;

  constructor(
    private readonly random: Random,
    private readonly deviation: number,
    private readonly constantSeconds: number,
  ) {
    this.#value = deviation * random.gaussian();
  }

  /** The exact solution for a step of any length, so that sampling more often does not change the statistics. */
  step(seconds: number): number {
    if (seconds !== this.#stepSeconds) {
      this.#stepSeconds = seconds;
      this.#kept = Math.exp(-seconds / this.constantSeconds);
      this.#fresh = this.deviation * Math.sqrt(1 - this.#kept ** 2);
    }
    return this.#value = this.#value * this.#kept + this.#fresh * this.random.gaussian();
  }
}

/**
 * Three components, beats per minute.
 *
 * A 5-minute SDNN of 50 ms at a mean interval of 926 ms (Nunan et al. 2010) is 60,000 / 926^2 x 50 = 3.5 bpm, here the
 * root of 2.0^2 + 2.9^2. Their time constants are those of the bands' corners (Task Force of the ESC and NASPE, Eur
 * Heart J 1996; 17: 354-381): 1 / (2 pi 0.04 Hz) = 4 s between low and very low frequency, 1 / (2 pi 0.0033 Hz) = 48 s
 * below that. Over hours and days the same person's rate at rest still differs by 3 to 5 bpm (standard deviation;
 * Russell et al., medRxiv 2019, 19008771).
 */
export class Variability {
  readonly #fast: Wander;
  readonly #slow: Wander;
  readonly #hourly: Wander;

  constructor(private readonly person: Person, random: Random) {
    this.#fast = new Wander(random, 2.0, 4);
    this.#slow = new Wander(random, 2.9, 48);
    this.#hourly = new Wander(random, 3.0, 3600);
  }

  /**
   * @param seconds since the step before
   * @param reserve share of the heart-rate reserve in use: effort withdraws the vagus, and the variability with it
   */
  step(seconds: number, reserve: number): number {
    const short = this.#fast.step(seconds) + this.#slow.step(seconds);
    return this.person.variability * (1 - 0.7 * reserve) * short + this.#hourly.step(seconds);
  }
}
