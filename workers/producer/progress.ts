/** A line on a terminal that shows how far the work is. */
import { formatSeconds } from "./duration.ts";
import type { Tally } from "./publish/tally.ts";

const WIDTH = 30;
const EVERY_MS = 100;

export interface Progress extends Disposable {
  readonly show: (tally: Tally) => void;
}

/**
 * @param write to the terminal
 * @param expected number of records, when it is known: then there is a bar
 */
export function openProgress(write: (text: string) => void, expected: number | undefined): Progress {
  let shownMs = -Infinity;
  let drawn = false;
  return {
    show: (tally) => {
      if (performance.now() - shownMs < EVERY_MS) return;
      shownMs = performance.now();
      drawn = true;
      // The cursor goes back to the start, so that a log line is written over the bar and not behind it.
      write(`\r\x1b[K${formatProgress(tally, expected)}\r`);
    },
    [Symbol.dispose]: () => {
      if (drawn) write("\r\x1b[K");
    },
  };
}

export function formatProgress(tally: Tally, expected: number | undefined): string {
  const { acknowledged, sent, seconds } = tally;
  const rate = Math.round(acknowledged / Math.max(seconds, 0.001));
  const facts = `${rate}/s, ${sent - acknowledged} under way`;
  if (expected === undefined || expected === 0) return `${acknowledged} acknowledged, ${facts}`;
  const share = Math.min(1, acknowledged / expected);
  const bar = "#".repeat(Math.round(share * WIDTH)).padEnd(WIDTH, ".");
  const left = rate > 0 ? `, ${formatSeconds(Math.max(0, expected - acknowledged) / rate)} left` : "";
  return `[${bar}] ${Math.floor(share * 100)} % ${acknowledged}/${expected}, ${facts}${left}`;
}
