/** Folder `_shared`: code that at least two workers use. Only its folders `kafka` and `record` know about Kafka and records. */
import { setTimeout as delay } from "node:timers/promises";

/** Short, so that a worker notices within seconds that an outage is over, however long it was. */
const MAX_DELAY_MS = 5_000;

/** Exponential, half of it random, so that clients do not retry all at once. @param attempt 1 after the first failure */
export function backoffMs(attempt: number): number {
  const ceiling = Math.min(MAX_DELAY_MS, 100 * 2 ** Math.min(attempt - 1, 10));
  return ceiling / 2 * (1 + Math.random());
}

/** Resolves, and does not reject, when `signal` aborts: the caller checks the signal. */
export async function sleep(ms: number, { signal }: { signal: AbortSignal }): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {});
}

/** Retries until success; undefined if `signal` aborted first. @param onFailure can throw to end the retries */
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
