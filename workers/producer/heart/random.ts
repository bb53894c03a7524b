/** Makes reproducible random numbers, with an independent stream for each customer and purpose. */
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

/** Only append to this list, because the index of a purpose selects its stream. */
const PURPOSES = ["person", "activity", "variability", "arrhythmia", "sensor", "faults"] as const;
export type Purpose = typeof PURPOSES[number];

export class Random {
  readonly #generator: ReturnType<typeof xoroshiro128plus>;
  #spare: number | undefined;

  constructor(seed: number, customer: number, purpose: Purpose) {
    this.#generator = xoroshiro128plus(mix(mix(mix(seed) ^ customer) ^ PURPOSES.indexOf(purpose)));
    // The first outputs of the generator still resemble the seed.
    for (let skipped = 0; skipped < 8; skipped++) this.#generator.next();
  }

  /** Returns a number from 0 to below 1. */
  uniform(): number {
    return (this.#generator.next() >>> 0) / 2 ** 32;
  }

  chance(probability: number): boolean {
    return probability > 0 && this.uniform() < probability;
  }

  between([low, high]: readonly [number, number]): number {
    return low + (high - low) * this.uniform();
  }

  /** Returns an integer from `low` to `high`, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor((high - low + 1) * this.uniform());
  }

  pick<T>(values: readonly [T, ...T[]]): T {
    return values[this.integer(0, values.length - 1)] ?? values[0];
  }

  /** Standard normal by the Box-Muller transform, which gives two values at a time. */
  gaussian(): number {
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare !== undefined) return spare;
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** Draws from a truncated normal distribution. */
  normal(mean: number, deviation: number, [low, high]: readonly [number, number]): number {
    for (;;) {
      const value = mean + deviation * this.gaussian();
      if (value >= low && value <= high) return value;
    }
  }

  exponential(mean: number): number {
    return -mean * Math.log(1 - this.uniform());
  }

  lognormal(median: number, sigma: number): number {
    return median * Math.exp(sigma * this.gaussian());
  }
}

/** The finalizer of MurmurHash3. It gives adjacent seeds and customers unrelated streams. */
function mix(value: number): number {
  let hash = (value + 0x9e3779b9) | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
