/**
 * Folder `_shared`: what two workers need: settings, lifecycle, logs, health port, PostgreSQL. It knows no worker, and nothing of
 * Kafka or of records outside its two folders.
 *
 * Waiting between tries: exponential, jittered, capped, and cut short when the program stops.
 */
import { setTimeout as after } from "node:timers/promises";

/** No retry waits longer, so that recovery is noticed within seconds however long the outage was. */
const MAX_DELAY_MS = 5_000;

/**
 * @param attempt 1 for the first failure
 * @returns milliseconds to wait: half fixed, half random, so that many clients do not come back in step
 */
export function backoffMs(attempt: number): number {
  const ceiling = Math.min(MAX_DELAY_MS, 100 * 2 ** Math.min(attempt - 1, 10));
  return ceiling / 2 * (1 + Math.random());
}

/** Resolves after `ms`, or at once when `signal` aborts: the caller looks at the signal and decides. */
export async function sleep(ms: number, { signal }: { signal: AbortSignal }): Promise<void> {
  await after(ms, undefined, { signal }).catch(() => {});
}

/**
 * Tries until it works, waiting longer after each failure.
 *
 * @param onFailure hears of each failure, before the wait; what it throws ends the trying
 * @returns undefined when `signal` aborted first
 */
export async function retryUntilAborted<T>(
  attempt: () => Promise<T>,
  onFailure: (error: unknown, attempts: number) => void,
  { signal }: { signal: AbortSignal },
): Promise<T | undefined> {
  for (let attempts = 1; !signal.aborted; attempts++) {
    try {
      return await attempt();
    } catch (error) {
      if (signal.aborted) return undefined;
      onFailure(error, attempts);
      await sleep(backoffMs(attempts), { signal });
    }
  }
}
