/** Draws what uPlot does not: silences, limits, anomalies, single readings and rejects. The signs are those of the page. */
import uPlot from "uplot";
import type { BpmLimits, Range } from "../view/view.ts";
import type { Point } from "./curve.ts";

const COLOURS = ["surface", "quiet", "rule", "bar", "low", "high", "trouble"] as const;

export interface Style {
  readonly colours: Readonly<Record<typeof COLOURS[number], string>>;
  readonly fontPx: number;
}

/** Resolves the style's custom properties and units, which a canvas does not understand. */
export function readStyle(element: HTMLElement): Style {
  const probe = element.appendChild(document.createElement("span"));
  const colours = COLOURS.map((name) => {
    probe.style.color = `var(--${name})`;
    return [name, getComputedStyle(probe).color];
  });
  probe.className = "note";
  const fontPx = Math.round(parseFloat(getComputedStyle(probe).fontSize) * 0.9);
  probe.remove();
  return { colours: Object.fromEntries(colours), fontPx };
}

interface Marks {
  readonly points: readonly Point[];
  readonly silences: readonly Range[];
  readonly limits: BpmLimits;
  /** When the rejected records arrived. */
  readonly rejects: readonly number[];
  readonly style: Style;
}

export function drawMarks(
  plot: uPlot,
  { points, silences, limits, rejects, style: { colours, fontPx } }: Marks,
): void {
  const { ctx, bbox: { left, top, width, height } } = plot;
  const unit = uPlot.pxRatio * fontPx / 12;
  const y = (bpm: number) => plot.valToPos(bpm, "y", true);
  const write = (colour: keyof typeof colours, sign: string, px: number, py: number) => {
    ctx.fillStyle = colours[colour];
    ctx.fillText(sign, px, py);
  };
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.fillStyle = colours.rule;
  // The grid stays visible.
  ctx.globalAlpha = 0.5;
  for (const { from, to } of silences) {
    const [begin, end] = [plot.valToPos(from, "x", true), plot.valToPos(to, "x", true)];
    ctx.fillRect(begin, top, end - begin, height);
  }
  ctx.globalAlpha = 1;
  ctx.font = `${12 * unit}px system-ui, sans-serif`;
  ctx.setLineDash([6 * unit, 4 * unit]);
  for (const kind of ["low", "high"] as const) {
    const line = y(limits[kind]);
    ctx.beginPath();
    ctx.moveTo(left, line);
    ctx.lineTo(left + width, line);
    ctx.lineWidth = unit;
    ctx.strokeStyle = colours[kind];
    ctx.stroke();
  }
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  const [first, last] = plot.series[1]?.idxs ?? [0, -1];
  for (let row = first; row <= last; row++) {
    const point = points[row];
    if (point === undefined || point.mean === null) continue;
    const px = plot.valToPos(point.ts, "x", true);
    // A reading between two silences is no line.
    if (!points[row - 1]?.readings && !points[row + 1]?.readings) write("bar", "•", px, y(point.mean));
    if (point.low) write("low", "▼", px, y(point.lowest ?? 0));
    if (point.high) write("high", "▲", px, y(point.highest ?? 0));
  }
  for (const at of rejects) write("trouble", "✕", plot.valToPos(at, "x", true), top + height - 7 * unit);
  // The last, with an edge, so that no sign hides them.
  ctx.textAlign = "left";
  ctx.strokeStyle = colours.surface;
  ctx.lineWidth = 4 * unit;
  ctx.setLineDash([]);
  // Within the limits, where the chart always has space for them.
  for (const [kind, side] of [["low", -1], ["high", 1]] as const) {
    const place = [` limit ${limits[kind]}`, left, y(limits[kind]) + side * 9 * unit] as const;
    ctx.strokeText(...place);
    write(kind, ...place);
  }
  ctx.restore();
}
