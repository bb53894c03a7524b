/** Numbers and durations in words. It uses no part of the server, so that the browser's script can import it. */

/** @returns digits in groups of three with narrow spaces between them, such as 1 234 567 */
export function formatCount(value: number | string | bigint): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** @param noun in the singular; its plural ends in "s" */
export function countOf(value: number, noun: string): string {
  return `${formatCount(value)} ${noun}${value === 1 ? "" : "s"}`;
}

const DAY_S = 86_400;
/** Each unit has its seconds, and those of the next larger one. */
const UNITS = [["d", DAY_S, Infinity], ["h", 3_600, DAY_S], ["min", 60, 3_600], ["s", 1, 60]] as const;

/** @returns the two largest units, such as "12 min 4 s", "3 h" or "0 s" */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const counts = UNITS.map(([unit, size, next]) => ({ unit, count: Math.floor(seconds % next / size) }));
  const largest = counts.findIndex(({ count }) => count > 0);
  if (largest < 0) return "0 s";
  const shown = counts.slice(largest, largest + 2).filter(({ count }) => count > 0);
  return shown.map(({ unit, count }) => `${count} ${unit}`).join(" ");
}
