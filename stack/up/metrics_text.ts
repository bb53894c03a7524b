/** Parses the subset of Prometheus' text format that the workers write. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Samples by metric name. */
export type Metrics = ReadonlyMap<string, readonly Sample[]>;

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: -?\d+)?$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

export function parseMetrics(text: string): Metrics {
  const metrics = new Map<string, Sample[]>();
  for (const line of text.split("\n")) {
    const [, name, labelText = "", valueText = ""] = LINE.exec(line) ?? [];
    if (name === undefined) continue;
    const labels: Record<string, string> = {};
    for (const [, label = "", value = ""] of labelText.matchAll(LABEL)) {
      labels[label] = value.replace(/\\(.)/g, (_, char) => char === "n" ? "\n" : char);
    }
    const samples = metrics.get(name) ?? [];
    samples.push({ labels, value: valueText === "+Inf" ? Infinity : Number(valueText) });
    metrics.set(name, samples);
  }
  return metrics;
}

export function total(metrics: Metrics, name: string, labels: Readonly<Record<string, string>> = {}): number {
  let sum = 0;
  for (const sample of metrics.get(name) ?? []) {
    if (Object.entries(labels).every(([label, value]) => sample.labels[label] === value)) sum += sample.value;
  }
  return sum;
}

export function byLabel(metrics: Metrics, name: string, label: string): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { labels, value } of metrics.get(name) ?? []) {
    const key = labels[label] ?? "";
    sums.set(key, (sums.get(key) ?? 0) + value);
  }
  return sums;
}

/** Cumulative counts of a histogram, in ascending order of the bounds. The last bound is Infinity. */
export function buckets(metrics: Metrics, name: string): [upperBound: number, count: number][] {
  return [...byLabel(metrics, `${name}_bucket`, "le")]
    .map(([bound, count]): [number, number] => [bound === "+Inf" ? Infinity : Number(bound), count])
    .sort(([a], [b]) => a - b);
}
