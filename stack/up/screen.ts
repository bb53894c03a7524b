/** How the status looks: on a terminal, and as one line. Pure. */
import { styleText } from "node:util";
import type { Reading, Status } from "./status.ts";

export interface Notice {
  readonly at: Date;
  readonly level: "info" | "warning" | "error";
  readonly from: string;
  readonly text: string;
}

export interface ScreenOptions {
  /** Columns and rows of the terminal. */
  readonly width: number;
  readonly height: number;
  readonly colour: boolean;
  readonly runningSeconds: number;
  /** The newest last. */
  readonly notices: readonly Notice[];
  /** Said at the bottom: where the servers and the logs are. */
  readonly footer: readonly string[];
}

type Style = Parameters<typeof styleText>[0];

/** Lines that are always there: title, figures, headings, blank lines, and the one that the cursor is on. */
const FIXED_LINES = 15;
const MOST_READINGS = 6;
const MOST_NOTICES = 6;
const WIDEST = 110;
const LABEL_WIDTH = 12;

/** The status as lines that fit the terminal. */
export function renderScreen(status: Status, options: ScreenOptions): string[] {
  const width = Math.min(options.width, WIDEST);
  const paint = (style: Style, text: string) =>
    options.colour ? styleText(style, text, { validateStream: false }) : text;
  const cut = (text: string, columns = width - 1) =>
    [...text].length > columns ? `${[...text].slice(0, columns - 1).join("")}…` : text;
  const field = (label: string, text: string, style?: Style) => {
    const fitting = cut(text, width - 1 - LABEL_WIDTH);
    return paint("dim", label.padEnd(LABEL_WIDTH)) + (style === undefined ? fitting : paint(style, fitting));
  };
  const spare = Math.max(0, options.height - FIXED_LINES - options.footer.length);
  const readings = status.latest.slice(0, Math.min(MOST_READINGS, Math.ceil(spare / 2)));
  const notices = options.notices.slice(-Math.min(MOST_NOTICES, Math.max(1, spare - readings.length)));

  const { totals, anomaliesRun, latency, lagRecords, lagSeconds } = status;
  const behind = (lagRecords ?? 0) > 0 && (lagSeconds ?? 0) >= 5;
  const lag = `${count(lagRecords)} records${lagSeconds === undefined ? "" : `, ${lagSeconds.toFixed(1)} s`}`;
  const title = "♥ heartbeat pipeline";
  const clock = `running ${elapsed(options.runningSeconds)}`;
  return [
    paint(["bold", "red"], title.slice(0, 1)) + paint("bold", title.slice(1)) +
    paint("dim", clock.padStart(Math.max(clock.length + 1, width - 1 - title.length))),
    paint("dim", "─".repeat(width - 1)),
    field("published", rate(status.publishedPerSecond), "cyan"),
    field("stored", `${rate(status.storedPerSecond)}${count(totals?.stored).padStart(14)} in all`, "green"),
    field("lag", lag, behind ? "red" : "green"),
    field("end to end", `${duration(latency.p50)} p50, ${duration(latency.p99)} p99 (last 30 s)`),
    field("anomalies", `${count(anomaliesRun.low)} low, ${count(anomaliesRun.high)} high`, "yellow"),
    field("rejected", `${count(totals?.rejected)} in all${reasons(status.rejectsRun)}`),
    field("duplicates", `${count(totals?.duplicates)} in all`),
    "",
    paint("bold", "Latest readings"),
    ...(readings.length === 0 ? [paint("dim", "  none yet")] : readings.map((one) => {
      const line = cut(renderReading(one));
      return one.anomaly === null ? line : paint(one.anomaly === "high" ? "red" : "yellow", line);
    })),
    "",
    paint("bold", "Latest events"),
    ...(notices.length === 0 ? [paint("dim", "  none")] : notices.map((notice) => {
      const line = cut(`  ${clockTime(notice.at)}  ${printable(`${notice.from}: ${notice.text}`)}`);
      return notice.level === "info" ? line : paint(notice.level === "error" ? "red" : "yellow", line);
    })),
    "",
    ...options.footer.map((line) => paint("dim", cut(printable(line)))),
  ];
}

/** The status as one line for logs and pipes. */
export function renderLine(status: Status): string {
  const { totals, anomaliesRun, latency } = status;
  return [
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

/** Texts from outside must not move the cursor, nor change the direction of what follows. */
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
    : `; now: ${sorted.map(([reason, sum]) => `${reason} ${count(sum)}`).join(", ")}`;
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
