/** Renders the status for a terminal and as a single line. All functions are pure. */
import { styleText } from "node:util";
import type { Reading, Status } from "./status.ts";

export interface Notice {
  readonly at: Date;
  readonly level: "info" | "warning" | "error";
  readonly from: string;
  readonly text: string;
}

export interface ScreenOptions {
  readonly width: number;
  readonly height: number;
  readonly colour: boolean;
  readonly runningSeconds: number;
  /** The newest last. */
  readonly notices: readonly Notice[];
  /** On a small terminal, only the first line stays. */
  readonly footer: readonly string[];
}

type Style = Parameters<typeof styleText>[0];

/** Number of lines of the first part, with the line below the title. */
const FIGURES = 10;
const MAX_READINGS = 6;
const MAX_NOTICES = 6;
const MAX_WIDTH = 110;
const LABEL_WIDTH = 12;

/** Fits the lines to the terminal. On a small terminal, the figures stay and other parts are shortened or left out. */
export function renderScreen(status: Status, options: ScreenOptions): string[] {
  const width = Math.min(options.width, MAX_WIDTH) - 1;
  const paint = (style: Style, text: string) =>
    options.colour ? styleText(style, text, { validateStream: false }) : text;
  // The cursor takes the last row.
  const rows = options.height - 1;
  const figures = renderFigures(status, { width, rows, paint, runningSeconds: options.runningSeconds });
  const wrapped = options.footer.map((line) => wrap(printable(line), width));
  const room = rows - figures.length;
  const footer = [wrapped.flat(), wrapped[0] ?? []].find((lines) => lines.length < room) ?? [];
  const left = room - (footer.length === 0 ? 0 : footer.length + 1);
  // A section needs a blank line and a heading. If there is no room for two sections, only the events are shown.
  const sections = left < 6 ? 1 : 2;
  const spare = left - 2 * sections;
  const readingLines = sections === 1 ? 0 : Math.min(MAX_READINGS, Math.ceil(spare / 2));
  const readings = status.latest.slice(0, readingLines).map((reading) => {
    const line = cut(renderReading(reading), width);
    return reading.anomaly === null ? line : paint(reading.anomaly === "high" ? "red" : "yellow", line);
  });
  const notices = options.notices.slice(-Math.max(1, Math.min(MAX_NOTICES, spare - readings.length)))
    .map((notice) => {
      const line = cut(`  ${clockTime(notice.at)}  ${printable(`${notice.from}: ${notice.text}`)}`, width);
      return notice.level === "info" ? line : paint(notice.level === "error" ? "red" : "yellow", line);
    });
  const section = (heading: string, lines: readonly string[], none: string) => {
    return ["", paint("bold", heading), ...(lines.length === 0 ? [paint("dim", `  ${none}`)] : lines)];
  };
  return [
    ...figures,
    ...(sections === 1 ? [] : section("Latest readings", readings, "none yet")),
    ...(spare < 1 ? [] : section("Latest events", notices, "none")),
    ...(footer.length === 0 ? [] : [""]),
    ...footer.map((line) => paint(line.startsWith("Open ") ? "bold" : "dim", line)),
  ];
}

interface Figures {
  readonly width: number;
  readonly rows: number;
  readonly paint: (style: Style, text: string) => string;
  readonly runningSeconds: number;
}

function renderFigures(status: Status, { width, rows, paint, runningSeconds }: Figures): string[] {
  const field = (label: string, text: string, style?: Style) => {
    const fitting = cut(text, width - LABEL_WIDTH);
    return paint("dim", label.padEnd(LABEL_WIDTH)) + (style === undefined ? fitting : paint(style, fitting));
  };
  const { totals, anomaliesRun, latency, lagRecords, lagSeconds } = status;
  const healthy = status.problems.length === 0;
  const behind = !healthy || ((lagRecords ?? 0) > 0 && (lagSeconds ?? 0) >= 5);
  const lag = `${count(lagRecords)} records${lagSeconds === undefined ? "" : `, ${lagSeconds.toFixed(1)} s`}`;
  const title = cut("♥ heartbeat pipeline", width);
  const clock = `running ${elapsed(runningSeconds)}`;
  const gap = width - title.length - clock.length;
  return [
    paint(["bold", "red"], title.slice(0, 1)) + paint("bold", title.slice(1)) +
    (gap < 1 ? "" : paint("dim", " ".repeat(gap) + clock)),
    ...(rows < FIGURES ? [] : [paint("dim", "─".repeat(width))]),
    field("state", stateOf(status), healthy ? "green" : "red"),
    field("published", rate(status.publishedPerSecond), "cyan"),
    field("stored", `${rate(status.storedPerSecond)}${count(totals?.stored).padStart(14)} in all`, "green"),
    field(
      "lag",
      healthy ? lag : `unknown${lagRecords === undefined ? "" : `, was ${lag}`}`,
      behind ? "red" : "green",
    ),
    field("end to end", `${duration(latency.p50)} p50, ${duration(latency.p99)} p99 (last 30 s)`),
    field("anomalies", `${count(anomaliesRun.low)} low, ${count(anomaliesRun.high)} high`, "yellow"),
    field("rejected", `${count(totals?.rejected)} in all${reasons(status.rejectsRun)}`),
    field("duplicates", `${count(totals?.duplicates)} in all`),
  ].slice(0, Math.max(1, rows));
}

function cut(text: string, columns: number): string {
  return [...text].length > columns ? `${[...text].slice(0, columns - 1).join("")}…` : text;
}

function stateOf({ problems }: Status): string {
  return problems.length === 0 ? "all is well" : printable(problems.join("; "));
}

/** Breaks at spaces if possible, so that a path can be copied. */
function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let rest = [...text];
  while (rest.length > columns) {
    const blank = rest.slice(0, columns + 1).lastIndexOf(" ");
    lines.push(rest.slice(0, blank > 0 ? blank : columns).join(""));
    rest = rest.slice(blank > 0 ? blank + 1 : columns);
  }
  return [...lines, rest.join("")];
}

export function renderLine(status: Status): string {
  const { totals, anomaliesRun, latency } = status;
  return [
    `state=${status.problems.length === 0 ? "ok" : JSON.stringify(stateOf(status))}`,
    `published=${rate(status.publishedPerSecond).trim()}`,
    `stored=${totals?.stored ?? 0} (${rate(status.storedPerSecond).trim()})`,
    `duplicates=${totals?.duplicates ?? 0}`,
    `rejected=${totals?.rejected ?? 0}`,
    `anomalies_low=${anomaliesRun.low}`,
    `anomalies_high=${anomaliesRun.high}`,
    `lag=${status.lagRecords ?? "unknown"}`,
    `end_to_end_p50=${duration(latency.p50)}`,
    `end_to_end_p99=${duration(latency.p99)}`,
  ].join(" ");
}

/** Text from outside must not move the cursor or change the writing direction. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, "·");
}

function renderReading({ ts, customerId, heartRate, anomaly }: Reading): string {
  const id = printable(customerId);
  const short = [...id].length > 32 ? `${[...id].slice(0, 31).join("")}…` : id.padEnd(16);
  const flag = anomaly === null ? "" : `  ${anomaly}`;
  return `  ${ts.toISOString().slice(0, 19).replace("T", " ")}  ${short}  ${
    String(heartRate).padStart(3)
  } bpm${flag}`;
}

function reasons(rejects: ReadonlyMap<string, number>): string {
  const sorted = [...rejects].filter(([, sum]) => sum > 0).sort(([, a], [, b]) => b - a);
  return sorted.length === 0
    ? ""
    : `; this run: ${sorted.map(([reason, sum]) => `${reason} ${count(sum)}`).join(", ")}`;
}

function count(value: number | undefined): string {
  return value === undefined ? "-" : value.toLocaleString("en-US");
}

function rate(perSecond: number | undefined): string {
  return `${
    perSecond === undefined ? "-" : perSecond.toLocaleString("en-US", { maximumFractionDigits: 1 })
  }/s`
    .padStart(10);
}

function duration(seconds: number | undefined): string {
  if (seconds === undefined) return "-";
  if (seconds === Infinity) return "minutes";
  return seconds < 1 ? `${Math.max(1, Math.round(seconds * 1000))}ms` : `${seconds.toFixed(1)}s`;
}

function elapsed(seconds: number): string {
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}

function clockTime(at: Date): string {
  return at.toTimeString().slice(0, 8);
}
