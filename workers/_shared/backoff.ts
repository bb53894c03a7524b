/** Folder `_shared`: code that at least two workers use. Only its folders `kafka` and `record` know about Kafka and records. */
import { setTimeout as delay } from "node:timers/promises";

const FIRST_DELAY_MS = 100;
/** Short, so that a worker notices within seconds the end of even a long outage. */
const MAX_DELAY_MS = 5_000;

/** Rises exponentially with `attempt`, 1 after the first failure. Half is random, so that clients do not retry all at once. */
export function backoffMs(attempt: number): number {
  const ceiling = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1));
  return ceiling / 2 * (1 + Math.random());
}

/** Resolves, and does not reject, when `signal` aborts: the caller checks the signal. */
export async function sleep(ms: number, { signal }: { signal: AbortSignal }): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {});
}

/**
 * @param onFailure can throw to end the retries
 * @returns undefined if `signal` aborted first
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
