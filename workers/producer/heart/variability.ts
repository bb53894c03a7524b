import type { Person } from "./person.ts";
import type { Random } from "./random.ts";

/** An Ornstein-Uhlenbeck process, exact for any step: the sampling rate does not change the statistics. */
class MeanRevertingNoise {
  #value: number;
  #stepSeconds = NaN;
  #decay = 0;
  #stepDeviation = 0;

  constructor(
    private readonly random: Random,
    private readonly deviation: number,
    private readonly timeConstantSeconds: number,
  ) {
    this.#value = deviation * random.gaussian();
  }

  step(seconds: number): number {
    if (seconds !== this.#stepSeconds) {
      this.#stepSeconds = seconds;
      this.#decay = Math.exp(-seconds / this.timeConstantSeconds);
      this.#stepDeviation = this.deviation * Math.sqrt(1 - this.#decay ** 2);
    }
    return this.#value = this.#value * this.#decay + this.#stepDeviation * this.random.gaussian();
  }
}

/**
 * The variability of the heart rate, which is correlated in time, and smaller during effort.
 *
 * `#fast` and `#slow` together give a standard deviation of 3.5 bpm. `#hourly` adds the differences between hours. The time
 * constants 4 s and 48 s are the corners of the low and the very low frequency bands of heart-rate variability.
 */
export class Variability {
  readonly #fast: MeanRevertingNoise;
  readonly #slow: MeanRevertingNoise;
  readonly #hourly: MeanRevertingNoise;

  constructor(private readonly person: Person, random: Random) {
    this.#fast = new MeanRevertingNoise(random, 2.0, 4);
    this.#slow = new MeanRevertingNoise(random, 2.9, 48);
    this.#hourly = new MeanRevertingNoise(random, 3.0, 3600);
  }

  /** @param reserve share of the heart-rate reserve in use, 0 to 1 */
  step(seconds: number, reserve: number): number {
    const short = this.#fast.step(seconds) + this.#slow.step(seconds);
    return this.person.variability * (1 - 0.7 * reserve) * short + this.#hourly.step(seconds);
  }
}
