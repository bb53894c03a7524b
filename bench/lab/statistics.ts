/** Few runs of a noisy machine, said in two numbers. */

export interface Summary {
  readonly median: number;
  /** Half of the distance between the least and the most, as a share of the median. */
  readonly spread: number;
}

/** @param values at least one */
export function summarize(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  const median = sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? NaN)) / 2;
  return { median, spread: ((sorted.at(-1) ?? NaN) - (sorted[0] ?? NaN)) / 2 / median };
}

/** The value that this share of all is at or below. @param sorted ascending, at least one */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? NaN;
}
