/** Instants as texts in the viewer's zone. It uses no part of the browser, so that unit tests can import it. */
import type { Range } from "../view/view.ts";

/** Swedish writes dates and times as ISO 8601 does. */
const ISO = "sv";
const DAY = { day: "numeric", month: "short" } as const;

/** @returns such as "14:03:22" */
export function formatClock(ms: number): string {
  return new Date(ms).toLocaleTimeString(ISO);
}

/** @returns such as "2026-11-30 14:03:22" */
export function formatDate(ms: number): string {
  return new Date(ms).toLocaleString(ISO);
}

/** @returns such as "29–30 Nov" or "30 Nov – 1 Dec" */
export function formatDays({ from, to }: Range): string {
  return new Intl.DateTimeFormat("en-GB", DAY).formatRange(from, to);
}

/** @returns such as "Europe/Berlin (GMT+1)" */
export function formatZone(ms: number): string {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const offset = new Date(ms).toLocaleTimeString("en", { timeZoneName: "shortOffset" }).split(" ").at(-1);
  return timeZone === "UTC" ? timeZone : `${timeZone} (${offset})`;
}

/** Labels of a time axis. A second line names the day wherever it is another one than at the label before. */
export function axisLabels(instants: readonly number[], stepMs: number): string[] {
  const days = instants.map((ms) => new Date(ms).toLocaleDateString("en-GB", DAY));
  return instants.map((ms, place) => {
    const day = days[place] ?? "";
    if (stepMs >= 86_400_000) return day;
    const clock = formatClock(ms).slice(0, stepMs < 60_000 ? 8 : 5);
    return day === days[place - 1] ? clock : `${clock}\n${day}`;
  });
}
