import { deepStrictEqual, strictEqual } from "node:assert";
import {
  silencesOf,
  summarize,
  toPoints,
  withSilences,
  withTail,
} from "../../../workers/monitor/client/curve.ts";
import type { Reading, Series } from "../../../workers/monitor/view/view.ts";

const LIMITS = { min: 30, max: 220, low: 45, high: 180 };
const MINUTE_MS = 60_000;

/** @param rows seconds and heart rates */
function raw(rows: readonly (readonly [second: number, bpm: number])[]): Series {
  return {
    kind: "raw",
    ts: rows.map(([second]) => second * 1_000),
    bpm: rows.map(([, bpm]) => bpm),
    anomaly: rows.map(([, bpm]) => anomalyOf(bpm)),
    truncated: false,
  };
}

function anomalyOf(bpm: number): "low" | "high" | null {
  return bpm < LIMITS.low ? "low" : bpm > LIMITS.high ? "high" : null;
}

/** @param rows [minute, low, mean, high, readings, lows, highs] */
function minutes(rows: readonly (readonly number[])[]): Series {
  const column = (place: number, factor = 1) => rows.map((row) => (row[place] ?? 0) * factor);
  return {
    kind: "minute",
    ts: column(0, MINUTE_MS),
    low: column(1),
    mean: column(2),
    high: column(3),
    readings: column(4),
    lows: column(5),
    highs: column(6),
    truncated: false,
  };
}

function every(seconds: number, count: number): [number, number][] {
  return Array.from({ length: count }, (_, row) => [row * seconds, 70]);
}

function tailOf(rows: readonly (readonly [second: number, bpm: number])[]): Reading[] {
  return rows.map(([second, bpm]) => ({ ts: second * 1_000, bpm, anomaly: anomalyOf(bpm) }));
}

/** The seconds at which the line breaks. */
function breaks(series: Series): number[] {
  const points = toPoints(series);
  const range = { from: points[0]?.ts ?? 0, to: points.at(-1)?.ts ?? 0 };
  return withSilences(points, series.kind, range)
    .filter(({ mean }) => mean === null).map(({ ts }) => ts / 1_000);
}

Deno.test("the line of raw readings breaks where more than five usual intervals have no reading", () => {
  deepStrictEqual(breaks(raw([...every(5, 10), [70, 70], [96, 70]])), [83]);
});

Deno.test("the line of raw readings never breaks within ten seconds, and always after five minutes", () => {
  deepStrictEqual(breaks(raw([...every(1, 10), [19, 70], [30, 70]])), [24.5]);
  deepStrictEqual(breaks(raw([...every(120, 5), [780, 70], [1_081, 70]])), [930.5]);
});

Deno.test("the line of minutes breaks only after five minutes", () => {
  const row = (minute: number) => [minute, 60, 70, 80, 12, 0];
  deepStrictEqual(breaks(minutes([0, 1, 2, 7, 13].map(row))), [600]);
});

Deno.test("a series without readings has no line, no break and says so", () => {
  deepStrictEqual(breaks(raw([])), []);
  strictEqual(
    summarize(toPoints(raw([])), "raw", { from: 0, to: 9e9 }),
    "No readings in this range.",
  );
});

Deno.test("a minute is marked as its readings were when they arrived, whatever the limits are now", () => {
  const points = toPoints(
    minutes([[0, 40, 70, 190, 12, 0, 0], [1, 60, 70, 80, 12, 3, 0], [2, 60, 70, 80, 12, 0, 3]]),
  );
  deepStrictEqual(points.map(({ low, high }) => [low, high]), [[false, false], [true, false], [false, true]]);
});

Deno.test("readings that arrive late or twice take their place in the line once", () => {
  const points = toPoints(raw([[0, 60], [10, 61], [20, 62]]));
  const all = withTail(points, tailOf([[20, 62], [25, 41], [5, 190], [25, 41]]), "raw");
  deepStrictEqual(all.map(({ ts, mean, low, high }) => [ts / 1_000, mean, low, high]), [
    [0, 60, false, false],
    [5, 190, false, true],
    [10, 61, false, false],
    [20, 62, false, false],
    [25, 41, true, false],
  ]);
});

Deno.test("a reading with microseconds is one point, whether it was loaded or arrived", () => {
  const ts = 1_700_000_000_000.456;
  const points = toPoints({ kind: "raw", ts: [ts], bpm: [70], anomaly: [null], truncated: false });
  strictEqual(withTail(points, [{ ts, bpm: 70, anomaly: null }], "raw").length, 1);
});

Deno.test("arriving readings make a minute, but replace a loaded one only if they are more than it has", () => {
  const points = toPoints(minutes([[0, 50, 60, 70, 12, 0], [1, 60, 60, 60, 1, 0]]));
  const all = withTail(points, tailOf([[59, 99], [60, 60], [70, 190], [120, 80], [130, 90]]), "minute");
  deepStrictEqual(
    all.map((
      { ts, lowest, mean, highest, high, readings },
    ) => [ts / MINUTE_MS, lowest, mean, highest, high, readings]),
    [
      [0, 50, 60, 70, false, 12],
      [1, 60, 125, 190, true, 2],
      [2, 80, 85, 90, false, 2],
    ],
  );
});

Deno.test("the words for the chart count what is in the range", () => {
  const points = toPoints(
    raw([[0, 200], ...every(5, 3).map(([s, bpm]) => [s + 10, bpm] as const), [400, 41]]),
  );
  strictEqual(
    summarize(withSilences(points, "raw", { from: 0, to: 400_000 }), "raw", { from: 5_000, to: 400_000 }),
    "4 readings, lowest 41 bpm, highest 70 bpm, 1 reading marked low, 0 readings marked high, 1 gap without readings.",
  );
});

Deno.test("a silence that is still open is counted and shaded, and so is one before the first reading", () => {
  const points = toPoints(raw([[100, 70], [110, 71], [120, 70]]));
  const shaded = (from: number, to: number) => {
    const range = { from: from * 1_000, to: to * 1_000 };
    const all = withSilences(points, "raw", range);
    return [
      silencesOf(all, range).map(({ from, to }) => [from / 1_000, to / 1_000]),
      summarize(all, "raw", range).replace(/.*, /, ""),
    ];
  };
  deepStrictEqual(
    shaded(60, 180),
    [[], "0 gaps without readings."],
    "the newest readings may be on their way",
  );
  deepStrictEqual(shaded(60, 181), [[[120, 181]], "1 gap without readings."]);
  deepStrictEqual(shaded(0, 500), [[[0, 100], [120, 500]], "2 gaps without readings."]);
});
