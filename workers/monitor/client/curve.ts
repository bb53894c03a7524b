/** The points of the chart. It uses no part of the browser, so that unit tests can import it. */
import { countOf } from "../view/words.ts";
import { type Range, type Reading, RECENT_MS, type Series, SILENT_AFTER_MS } from "../view/view.ts";

/** A reading or the readings of a minute. Without values: a silence, which no line crosses. */
export interface Point {
  readonly ts: number;
  readonly mean: number | null;
  readonly lowest: number | null;
  readonly highest: number | null;
  /** Whether an anomaly is marked. */
  readonly low: boolean;
  readonly high: boolean;
  readonly readings: number;
}

/** Between raw readings, this many usual intervals are a silence, too, but never less than MIN_SILENCE_MS. */
const MISSING_READINGS = 5;
const MIN_SILENCE_MS = 10_000;
const SILENCE = { mean: null, lowest: null, highest: null, low: false, high: false, readings: 0 };
const MINUTE_MS = 60_000;

function pointOf(ts: number, readings: readonly Omit<Reading, "ts">[]): Point {
  const bpm = readings.map((reading) => reading.bpm);
  const has = (kind: "low" | "high") => readings.some(({ anomaly }) => anomaly === kind);
  const mean = bpm.reduce((a, b) => a + b, 0) / bpm.length;
  const [lowest, highest] = [Math.min(...bpm), Math.max(...bpm)];
  return { ts, mean, lowest, highest, low: has("low"), high: has("high"), readings: bpm.length };
}

export function toPoints(series: Series): Point[] {
  if (series.kind === "raw") {
    const { bpm, anomaly } = series;
    return series.ts.map((ts, row) => pointOf(ts, [{ bpm: bpm[row] ?? 0, anomaly: anomaly[row] ?? null }]));
  }
  const { low, mean, high, readings, lows, highs } = series;
  return series.ts.map((ts, row) => ({
    ts,
    mean: mean[row] ?? 0,
    lowest: low[row] ?? 0,
    highest: high[row] ?? 0,
    low: (lows[row] ?? 0) > 0,
    high: (highs[row] ?? 0) > 0,
    readings: readings[row] ?? 0,
  }));
}

/** Adds readings that arrived later. A minute is replaced if the tail has more of its readings. */
export function withTail(
  points: readonly Point[],
  tail: readonly Reading[],
  kind: Series["kind"],
): readonly Point[] {
  const all = new Map(points.map((point) => [point.ts, point]));
  for (const [ts, readings] of Map.groupBy(tail, ({ ts }) => kind === "raw" ? ts : ts - ts % MINUTE_MS)) {
    if (readings.length > (all.get(ts)?.readings ?? 0)) all.set(ts, pointOf(ts, readings));
  }
  return [...all.values()].sort((a, b) => a.ts - b.ts);
}

/** @returns the longest time between two points that is no silence. The usual interval is the median. */
function longestInterval(points: readonly Point[], kind: Series["kind"]): number {
  const intervals = points.slice(1).map(({ ts }, row) => ts - (points[row]?.ts ?? ts)).sort((a, b) => a - b);
  const usual = intervals[intervals.length >> 1];
  if (kind === "minute" || usual === undefined) return SILENT_AFTER_MS;
  return Math.min(SILENT_AFTER_MS, Math.max(MISSING_READINGS * usual, MIN_SILENCE_MS));
}

/** Adds a point without values in each silence, also before the first and after the last reading of the range. */
export function withSilences(points: readonly Point[], kind: Series["kind"], { from, to }: Range): Point[] {
  const longestMs = longestInterval(points, kind);
  const all: Point[] = [];
  let before = from;
  const goTo = (ts: number) => {
    if (ts - before > longestMs) all.push({ ...SILENCE, ts: (before + ts) / 2 });
    before = ts;
  };
  for (const point of points) {
    goTo(point.ts);
    all.push(point);
  }
  // The newest readings may be on their way.
  if (to - before > RECENT_MS) goTo(to);
  return all;
}

/** @returns the silences of `withSilences` */
export function silencesOf(points: readonly Point[], { from, to }: Range): Range[] {
  return points.flatMap(({ readings }, row) =>
    readings > 0 ? [] : [{ from: points[row - 1]?.ts ?? from, to: points[row + 1]?.ts ?? to }]
  );
}

/** What the chart shows, in words for those who cannot see it. */
export function summarize(points: readonly Point[], kind: Series["kind"], { from, to }: Range): string {
  const seen = points.filter(({ ts }) => ts >= from && ts <= to);
  const full = seen.filter(({ readings }) => readings > 0);
  if (full.length === 0) return "No readings in this range.";
  const readings = full.reduce((sum, point) => sum + point.readings, 0);
  const lowest = Math.min(...full.map((point) => point.lowest ?? Infinity));
  const highest = Math.max(...full.map((point) => point.highest ?? 0));
  const unit = kind === "raw" ? "reading" : "minute";
  const marked = (side: "low" | "high") =>
    `${countOf(full.filter((point) => point[side]).length, unit)} marked ${side}`;
  const gaps = countOf(seen.length - full.length, "gap");
  return `${countOf(readings, "reading")}, lowest ${lowest} bpm, highest ${highest} bpm, ${marked("low")}, ` +
    `${marked("high")}, ${gaps} without readings.`;
}
