/** How the chart looks: series, scales and axes for uPlot. */
import type uPlot from "uplot";
import type { BpmLimits, Range, Series } from "../view/view.ts";
import { axisLabels, formatDate } from "./local_time.ts";

const COLOURS = ["quiet", "rule", "bar", "low", "high", "trouble"] as const;
/** Space above and below the curve and the limits. */
const MARGIN_BPM = 8;

export interface Style {
  readonly colours: Readonly<Record<typeof COLOURS[number], string>>;
  readonly fontPx: number;
}

/** Resolves the page's custom properties and units, which a canvas does not understand. */
export function readStyle(element: HTMLElement): Style {
  const colours = COLOURS.map((name) => {
    element.style.color = `var(--${name})`;
    return [name, getComputedStyle(element).color];
  });
  element.style.color = "";
  const fontPx = Math.round(parseFloat(getComputedStyle(element).fontSize) * 0.8);
  return { colours: Object.fromEntries(colours), fontPx };
}

interface Look {
  readonly kind: Series["kind"];
  readonly limits: BpmLimits;
  readonly range: () => Range;
  readonly style: Style;
}

export function chartOptions(
  { kind, limits, range, style: { colours, fontPx } }: Look,
): Pick<uPlot.Options, "ms" | "series" | "bands" | "scales" | "axes"> {
  const line = { stroke: colours.rule, width: 1 };
  const axis = {
    font: `${fontPx}px system-ui, sans-serif`,
    stroke: colours.quiet,
    grid: line,
    ticks: line,
  };
  const plain = {
    points: { show: false },
    value: (_plot: uPlot, bpm: number | null) => bpm === null ? "–" : `${Math.round(bpm)} bpm`,
  };
  const time = {
    label: "Time",
    value: (_plot: uPlot, ms: number | null) => ms === null ? "–" : formatDate(ms),
  };
  const curve = {
    ...plain,
    label: kind === "raw" ? "Heart rate" : "Mean of the minute",
    stroke: colours.bar,
    width: 1.5,
  };
  const edges = ["Lowest", "Highest"].map((label) => ({ ...plain, ...line, label }));
  return {
    ms: 1,
    series: kind === "raw" ? [time, curve] : [time, ...edges, curve],
    bands: kind === "raw" ? [] : [{ series: [2, 1], fill: colours.rule }],
    scales: {
      x: { auto: false, range: () => [range().from, range().to] },
      y: {
        range: (_plot, lowest: number | null, highest: number | null) => [
          Math.min(lowest ?? limits.low, limits.low) - MARGIN_BPM,
          Math.max(highest ?? limits.high, limits.high) + MARGIN_BPM,
        ],
      },
    },
    axes: [
      {
        ...axis,
        values: (...[, instants, , , stepMs]) => axisLabels(instants, stepMs),
        space: 6 * fontPx,
        size: 3.8 * fontPx,
      },
      { ...axis, size: 3.5 * fontPx, space: 3 * fontPx },
    ],
  };
}
