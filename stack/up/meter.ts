/** Rates and quantiles over a recent window, from counters that restart at 0 with each process. */
import { buckets, byLabel, type Metrics, total } from "./metrics_text.ts";

const RATE_WINDOW_MS = 5_000;
const LATENCY_WINDOW_MS = 30_000;

interface Scrape {
  readonly atMs: number;
  readonly metrics: Metrics;
}

export class Meter {
  readonly #scrapes: Scrape[] = [];
  /** Final counts of earlier processes of the worker, by metric name and label value. */
  readonly #before = new Map<string, number>();

  /**
   * @param counter a counter of the worker; if its value is lower than before, the process is new
   * @param counted the metrics that `sums` can return, with the label of each
   */
  constructor(
    readonly counter: string,
    readonly counted: readonly (readonly [name: string, label: string])[] = [],
  ) {}

  get newest(): Metrics {
    return this.#scrapes.at(-1)?.metrics ?? new Map();
  }

  add(atMs: number, metrics: Metrics): void {
    const last = this.#scrapes.at(-1);
    if (last !== undefined && total(metrics, this.counter) < total(last.metrics, this.counter)) {
      for (const [name, label] of this.counted) {
        for (const [value, sum] of byLabel(last.metrics, name, label)) this.#keep(`${name} ${value}`, sum);
      }
      this.#scrapes.length = 0;
    }
    this.#scrapes.push({ atMs, metrics });
    while ((this.#scrapes[0]?.atMs ?? atMs) < atMs - LATENCY_WINDOW_MS) this.#scrapes.shift();
  }

  #keep(key: string, sum: number): void {
    this.#before.set(key, (this.#before.get(key) ?? 0) + sum);
  }

  /** Sums of a counted metric by label value, over all processes of the worker. */
  sums(name: string, label: string): Map<string, number> {
    const sums = byLabel(this.newest, name, label);
    for (const [key, before] of this.#before) {
      const [metric, value = ""] = key.split(" ", 2);
      if (metric === name) sums.set(value, (sums.get(value) ?? 0) + before);
    }
    return sums;
  }

  rate(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    const newest = this.#scrapes.at(-1);
    const oldest = this.#scrapes.find(({ atMs }) => atMs >= (newest?.atMs ?? 0) - RATE_WINDOW_MS);
    if (newest === undefined || oldest === undefined || newest.atMs === oldest.atMs) return undefined;
    const grown = total(newest.metrics, name, labels) - total(oldest.metrics, name, labels);
    return Math.max(0, grown) / ((newest.atMs - oldest.atMs) / 1000);
  }

  /**
   * Returns a quantile of a histogram over the last 30 s, by linear interpolation within a bucket. It is undefined
   * without observations, and Infinity above the last bound.
   *
   * @param q from 0 to 1
   */
  quantile(name: string, q: number): number | undefined {
    const newest = this.#scrapes.at(-1);
    const oldest = this.#scrapes[0];
    if (newest === undefined || oldest === undefined) return undefined;
    const before = newest === oldest ? new Map() : new Map(buckets(oldest.metrics, name));
    const counts = buckets(newest.metrics, name).map(([bound, count]): [number, number] => {
      return [bound, count - (before.get(bound) ?? 0)];
    });
    const rank = q * (counts.at(-1)?.[1] ?? 0);
    if (rank === 0) return undefined;
    let [lower, below] = [0, 0];
    for (const [bound, count] of counts) {
      if (count >= rank) {
        return bound === Infinity ? Infinity : lower + (bound - lower) * ((rank - below) / (count - below));
      }
      [lower, below] = [bound, count];
    }
    return undefined;
  }
}
