/** Reproducible randomness: one stream for each customer and purpose, so that no stream depends on another's order. */
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

/** What a stream is drawn for. A new purpose never shifts the numbers of an old one. */
const PURPOSES = ["person", "activity", "variability", "arrhythmia", "sensor", "faults"] as const;
export type Purpose = typeof PURPOSES[number];

export class Random {
  readonly #generator: ReturnType<typeof xoroshiro128plus>;
  #spare: number | undefined;

  /** @param seed a 32-bit integer */
  constructor(seed: number, customer: number, purpose: Purpose) {
    this.#generator = xoroshiro128plus(mix(mix(mix(seed) ^ customer) ^ PURPOSES.indexOf(purpose)));
    // The generator's first outputs still show the seed.
    for (let skipped = 0; skipped < 8; skipped++) this.#generator.next();
  }

  /** In [0, 1). */
  uniform(): number {
    return (this.#generator.next() >>> 0) / 2 ** 32;
  }

  chance(probability: number): boolean {
    return probability > 0 && this.uniform() < probability;
  }

  between([low, high]: readonly [number, number]): number {
    return low + (high - low) * this.uniform();
  }

  /** A whole number, bounds included. */
  integer(low: number, high: number): number {
    return low + Math.floor((high - low + 1) * this.uniform());
  }

  pick<T>(values: readonly [T, ...T[]]): T {
    return values[this.integer(0, values.length - 1)] ?? values[0];
  }

  /** Standard normal, by Box and Muller (Ann. Math. Statist. 1958), which yields them in pairs. */
  gaussian(): number {
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare !== undefined) return spare;
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** Normal, drawn again while it is outside the bounds. */
  normal(mean: number, deviation: number, [low, high]: readonly [number, number]): number {
    for (;;) {
      const value = mean + deviation * this.gaussian();
      if (value >= low && value <= high) return value;
    }
  }

  /** Waiting time of a Poisson process. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.uniform());
  }

  /** Positive and skewed, as durations are. */
  lognormal(median: number, spread: number): number {
    return median * Math.exp(spread * this.gaussian());
  }
}

/** The finaliser of MurmurHash3: neighbouring seeds and customers get unrelated streams. */
function mix(value: number): number {
  let hash = (value + 0x9e3779b9) | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
