/** Instants as texts in the viewer's zone. It uses no part of the browser, so that unit tests can import it. */

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function pad(value: number): string {
  return String(value).padStart(2, "0");
}

/** @returns such as "14:03:22" */
export function formatClock(ms: number): string {
  const at = new Date(ms);
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map(pad).join(":");
}

/** @returns such as "2026-11-30 14:03:22" */
export function formatDate(ms: number): string {
  const at = new Date(ms);
  return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())} ${formatClock(ms)}`;
}

/** @returns the value of a field for local date and time */
export function fieldValue(ms: number): string {
  return formatDate(ms).replace(" ", "T");
}

/** @returns such as "Europe/Berlin (GMT+1)" */
export function formatZone(ms: number): string {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const part = new Intl.DateTimeFormat("en", { timeZoneName: "shortOffset" }).formatToParts(ms)
    .find(({ type }) => type === "timeZoneName");
  return timeZone === "UTC" ? timeZone : `${timeZone} (${part?.value})`;
}

/** Labels of a time axis. A second line names the day wherever it is another one than at the label before. */
export function axisLabels(instants: readonly number[], stepMs: number): string[] {
  return instants.map((ms, place) => {
    const at = new Date(ms);
    const day = `${at.getDate()} ${MONTHS[at.getMonth()]}`;
    if (stepMs >= 86_400_000) return day;
    const before = instants[place - 1];
    const clock = formatClock(ms).slice(0, stepMs < 60_000 ? 8 : 5);
    return before !== undefined && new Date(before).getDate() === at.getDate() ? clock : `${clock}\n${day}`;
  });
}
