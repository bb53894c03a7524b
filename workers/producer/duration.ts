/** Durations and instants as people write them on a command line. */

const UNITS: Readonly<Record<string, number>> = {
  ms: 1e3,
  s: 1e6,
  m: 60e6,
  h: 3600e6,
  d: 86_400e6,
};

/** @returns microseconds, or undefined when the text is no duration such as 500ms, 30s, 5m, 2h or 7d */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)$/.exec(text);
  const unit = UNITS[match?.[2] ?? ""];
  if (match === null || unit === undefined) return undefined;
  const micros = Math.round(Number(match[1]) * unit);
  return micros > 0 ? micros : undefined;
}

/** As a person would say it, in two units at most: 45 s, 3 min 20 s, 2 h 5 min. */
export function formatSeconds(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} min`;
}

/** @returns minutes east of Greenwich, or undefined when the text is neither UTC, Z nor such as +02:00 or -0530 */
export function parseOffset(text: string): number | undefined {
  if (/^(utc|z)$/i.test(text)) return 0;
  const match = /^([+-])(\d{2}):?(\d{2})$/.exec(text);
  if (match === null) return undefined;
  const minutes = Number(match[2]) * 60 + Number(match[3]);
  if (Number(match[3]) > 59 || minutes > 18 * 60) return undefined;
  return match[1] === "-" ? -minutes : minutes;
}
