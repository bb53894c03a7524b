/** Numbers and durations in words. It uses no part of the server, so that the browser's script can import it. */

/** @returns digits in groups of three with narrow spaces between them, such as 1 234 567 */
export function formatCount(value: number | string | bigint): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** @param noun in the singular; its plural ends in "s" */
export function countOf(value: number, noun: string): string {
  return `${formatCount(value)} ${noun}${value === 1 ? "" : "s"}`;
}

const UNITS = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]] as const;

/** @returns the two largest units, such as "12 min 4 s", "3 h" or "0 s" */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const largest = UNITS.findIndex(([, size]) => seconds >= size);
  if (largest < 0) return "0 s";
  let rest = seconds;
  const parts = UNITS.slice(largest, largest + 2).map(([unit, size]) => {
    const whole = Math.floor(rest / size);
    rest -= whole * size;
    return { whole, text: `${whole} ${unit}` };
  });
  return parts.filter(({ whole }) => whole > 0).map(({ text }) => text).join(" ");
}

/** @returns such as "a, b and c" */
export function listOf(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}
