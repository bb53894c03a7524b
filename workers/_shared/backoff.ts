/** Waiting between tries: exponential, jittered, capped, and cut short when the program stops. */

/** No retry waits longer, so that recovery is noticed within seconds however long the outage was. */
export const MAX_DELAY_MS = 5_000;

/**
 * @param attempt 1 for the first failure
 * @param random uniform in [0, 1)
 * @returns milliseconds to wait: half fixed, half random, so that many clients do not come back in step
 */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  const ceiling = Math.min(MAX_DELAY_MS, 100 * 2 ** Math.min(attempt - 1, 10));
  return ceiling / 2 + random() * (ceiling / 2);
}

/** Resolves after `ms`, or at once when `signal` aborts: the caller looks at the signal and decides. */
export function sleep(ms: number, { signal }: { signal: AbortSignal }): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}
