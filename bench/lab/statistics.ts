export interface Summary {
  readonly median: number;
  /** Half the distance between minimum and maximum, divided by the median. */
  readonly spread: number;
}

export function summarize(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  const median = sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? NaN)) / 2;
  return { median, spread: ((sorted.at(-1) ?? NaN) - (sorted[0] ?? NaN)) / 2 / median };
}
