/** Starting again what ended without being asked to, later and later when that does not help. */
import { describeError } from "../../workers/_shared/errors.ts";
import { sleep } from "../../workers/_shared/backoff.ts";

const FIRST_DELAY_MS = 1_000;
const LAST_DELAY_MS = 30_000;
/** What ran for so long begins again with the first delay. */
const SETTLED_MS = 60_000;

/** @param failures in a row; 1 for the first */
export function restartDelayMs(failures: number): number {
  return Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failures - 1, 10));
}

export interface Restartable {
  readonly name: string;
  readonly running: boolean;
  /** Settles when the newest start ended. */
  readonly exited: Promise<Deno.CommandStatus>;
  readonly start: (options: { signal: AbortSignal }) => Promise<void>;
  /** Why starting it again is pointless; undefined when it is not. */
  readonly hopeless?: (status: Deno.CommandStatus) => Error | undefined;
}

export interface KeepRunningOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (text: string) => void;
  readonly now?: () => number;
}

/**
 * Watches something that runs until the signal, and starts it again whenever it ends.
 *
 * @throws what `hopeless` gives
 */
export async function keepRunning(
  one: Restartable,
  { signal, onProgress, now = () => performance.now() }: KeepRunningOptions,
): Promise<void> {
  const stopped = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  let failures = 0;
  let startedAt = now();
  while (!signal.aborted) {
    const status = await Promise.race([one.exited, stopped]);
    if (status === undefined || signal.aborted) return;
    if (now() - startedAt >= SETTLED_MS) failures = 0;
    const error = one.hopeless?.(status);
    if (error !== undefined) throw error;
    let why = describeExit(status);
    while (!one.running) {
      const delayMs = restartDelayMs(++failures);
      onProgress(`${one.name} ended (${why}); starting it again in ${delayMs / 1000} s`);
      await sleep(delayMs, { signal });
      if (signal.aborted) return;
      startedAt = now();
      try {
        await one.start({ signal });
        onProgress(`${one.name} runs again`);
      } catch (error) {
        if (signal.aborted) return;
        why = describeError(error);
      }
    }
  }
}

/** Runs all until the signal. When one fails, the others are told to end before its failure is thrown. */
export async function runTogether(
  tasks: readonly ((signal: AbortSignal) => Promise<void>)[],
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  const outcomes = await Promise.allSettled(tasks.map(async (task) => {
    try {
      await task(either);
    } catch (error) {
      over.abort();
      throw error;
    }
  }));
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}

export function describeExit(status: Deno.CommandStatus): string {
  return status.signal === null ? `exit code ${status.code}` : status.signal;
}
