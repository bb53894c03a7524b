/** Bars beside their names as an SVG picture. */
import { escape } from "./svg.ts";

export interface Bar {
  readonly name: string;
  readonly value: number;
  /** Drawn in the colour of what this is about. */
  readonly ours: boolean;
}

const WIDTH = 860;
const LEFT = 300;
const RIGHT = 130;
const TOP = 50;
const ROW = 34;
const BAR = 22;
/** Okabe and Ito: can be told apart with any colour blindness. */
const OURS = "#0072b2";
const OTHER = "#999999";

/**
 * @param label what is written behind a bar
 * @returns the text of an SVG file
 */
export function barChart<B extends Bar>(
  title: string,
  bars: readonly B[],
  label: (bar: B) => string,
): string {
  const most = Math.max(...bars.map(({ value }) => value), Number.EPSILON);
  const rows = bars.map((bar, index) => {
    const y = TOP + index * ROW;
    const width = bar.value / most * (WIDTH - LEFT - RIGHT);
    const colour = bar.ours ? OURS : OTHER;
    return `<text x="${LEFT - 10}" y="${y + 16}" text-anchor="end">${escape(bar.name)}</text>
<rect x="${LEFT}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" fill="${colour}"/>
<text x="${(LEFT + width + 8).toFixed(1)}" y="${y + 16}">${escape(label(bar))}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${TOP + bars.length * ROW + 16}" ` +
    `font-family="sans-serif" font-size="14">
<rect width="100%" height="100%" fill="white"/>
<text x="${WIDTH / 2}" y="28" text-anchor="middle" font-size="17">${escape(title)}</text>
${rows.join("\n")}
</svg>
`;
}
