export interface Panel {
  readonly title: string;
  /** One value for each point in time. */
  readonly values: readonly number[];
  readonly limit?: { readonly value: number; readonly name: string };
}

const WIDTH = 960;
const PANEL_HEIGHT = 220;
const LEFT = 90;
const RIGHT = 40;
const TOP = 56;
const GAP = 56;
/** Okabe and Ito: people with any colour blindness can tell the two apart. */
const CURVE = "#0072b2";
const LIMIT = "#d55e00";
const TICKS = 5;

/** @param minutes time since the start, one for each value of a panel */
export function lineChart(title: string, minutes: readonly number[], panels: readonly Panel[]): string {
  const height = TOP + panels.length * (PANEL_HEIGHT + GAP);
  const end = Math.max(...minutes.slice(-1), Number.EPSILON);
  const x = (minute: number) => LEFT + minute / end * (WIDTH - LEFT - RIGHT);
  const parts = panels.map((panel, index) => {
    const top = TOP + index * (PANEL_HEIGHT + GAP) + 20;
    return drawPanel(panel, minutes, { x, top, minuteTicks: ticks(end) });
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" ` +
    `font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="white"/>
${text(WIDTH / 2, 28, escape(title), 'text-anchor="middle" font-size="17"')}
${parts.join("\n")}
</svg>
`;
}

function drawPanel(
  { title, values, limit }: Panel,
  minutes: readonly number[],
  { x, top, minuteTicks }: {
    readonly x: (minute: number) => number;
    readonly top: number;
    readonly minuteTicks: readonly number[];
  },
): string {
  const most = values.reduce((most, value) => Math.max(most, value), limit?.value ?? 0) * 1.05 || 1;
  const y = (value: number) => top + PANEL_HEIGHT * (1 - value / most);
  const points = values.map((value, index) => `${x(minutes[index] ?? 0).toFixed(1)},${y(value).toFixed(1)}`);
  const right = WIDTH - RIGHT;
  const rule = (value: number, style: string) =>
    `<path d="M${LEFT} ${y(value).toFixed(1)}H${right}" ${style}/>`;
  return [
    text(LEFT, top - 8, escape(title), 'font-weight="bold"'),
    ...ticks(most).flatMap((value) => [
      rule(value, 'stroke="#ddd"'),
      text(LEFT - 8, y(value) + 4, value.toLocaleString("en"), 'text-anchor="end"'),
    ]),
    ...minuteTicks.map((minute) =>
      text(x(minute), top + PANEL_HEIGHT + 18, `${minute} min`, 'text-anchor="middle"')
    ),
    ...(limit === undefined ? [] : [
      rule(limit.value, `stroke="${LIMIT}" stroke-dasharray="6 4"`),
      text(right, y(limit.value) - 5, escape(limit.name), `text-anchor="end" fill="${LIMIT}"`),
    ]),
    `<polyline points="${points.join(" ")}" fill="none" stroke="${CURVE}"/>`,
  ].join("\n");
}

/** Round numbers from 0 to the maximum. */
function ticks(most: number): number[] {
  const rough = most / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough) ?? rough;
  const count = Math.floor(most / step + 1e-9) + 1;
  return Array.from({ length: count }, (_, index) => Number((index * step).toPrecision(6)));
}

function text(x: number, y: number, content: string, style: string): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${style}>${content}</text>`;
}

function escape(content: string): string {
  return content.replace(/[<&]/g, (sign) => sign === "<" ? "&lt;" : "&amp;");
}
