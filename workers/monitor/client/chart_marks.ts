/** Draws what uPlot does not: silences, limits, anomalies, single readings and rejects. The signs are those of the page. */
import uPlot from "uplot";
import type { BpmLimits, Range } from "../view/view.ts";
import type { Style } from "./chart_style.ts";
import type { Point } from "./curve.ts";

interface Marks {
  readonly points: readonly Point[];
  readonly silences: readonly Range[];
  readonly limits: BpmLimits;
  /** When the rejected records arrived. */
  readonly rejects: readonly number[];
}

export function drawMarks(
  plot: uPlot,
  { points, silences, limits, rejects }: Marks,
  { colours, fontPx }: Style,
): void {
  const { ctx, bbox: { left, top, width, height } } = plot;
  const unit = uPlot.pxRatio * fontPx / 12;
  const x = (ms: number) => plot.valToPos(ms, "x", true);
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
  for (const { from, to } of silences) ctx.fillRect(x(from), top, x(to) - x(from), height);
  ctx.globalAlpha = 1;
  ctx.lineWidth = unit;
  ctx.setLineDash([6 * unit, 4 * unit]);
  for (const kind of ["low", "high"] as const) {
    ctx.strokeStyle = colours[kind];
    ctx.beginPath();
    ctx.moveTo(left, y(limits[kind]));
    ctx.lineTo(left + width, y(limits[kind]));
    ctx.stroke();
  }
  ctx.font = `${12 * unit}px system-ui, sans-serif`;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  const [first, last] = plot.series[1]?.idxs ?? [0, -1];
  for (let row = first; row <= last; row++) {
    const point = points[row];
    if (point === undefined || point.mean === null) continue;
    const px = x(point.ts);
    // A reading between two silences is no line.
    if (!points[row - 1]?.readings && !points[row + 1]?.readings) write("bar", "•", px, y(point.mean));
    if (point.low) write("low", "▼", px, y(point.lowest ?? 0));
    if (point.high) write("high", "▲", px, y(point.highest ?? 0));
  }
  for (const at of rejects) write("trouble", "✕", x(at), top + height - 7 * unit);
  ctx.restore();
}
