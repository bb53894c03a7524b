import { describeError } from "../../workers/_shared/errors.ts";
import { sleep } from "../../workers/_shared/backoff.ts";

const FIRST_DELAY_MS = 1_000;
const LAST_DELAY_MS = 30_000;
/** If the program has run this long, the next restart uses the first delay again. */
const SETTLED_MS = 60_000;

/** @param failures number of failures in a row, at least 1 */
export function restartDelayMs(failures: number): number {
  return Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failures - 1, 10));
}

export interface Restartable {
  readonly name: string;
  readonly running: boolean;
  /** Settles when the newest process ends. */
  readonly exited: Promise<Deno.CommandStatus>;
  readonly start: (options: { signal: AbortSignal }) => Promise<void>;
  /** Returns an error if a restart is pointless, otherwise undefined. */
  readonly hopeless?: (status: Deno.CommandStatus) => Error | undefined;
}

export interface KeepRunningOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (text: string) => void;
  readonly now?: () => number;
}

/**
 * Restarts a program each time it ends, with increasing delays, until the signal aborts.
 *
 * @throws the error of `hopeless`
 */
export async function keepRunning(
  program: Restartable,
  { signal, onProgress, now = () => performance.now() }: KeepRunningOptions,
): Promise<void> {
  const stopped = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  let failures = 0;
  let startedAt = now();
  while (!signal.aborted) {
    const status = await Promise.race([program.exited, stopped]);
    if (status === undefined || signal.aborted) return;
    if (now() - startedAt >= SETTLED_MS) failures = 0;
    const error = program.hopeless?.(status);
    if (error !== undefined) throw error;
    let why = describeExit(status);
    while (!program.running) {
      const delayMs = restartDelayMs(++failures);
      onProgress(`${program.name} ended (${why}); starting it again in ${delayMs / 1000} s`);
      await sleep(delayMs, { signal });
      if (signal.aborted) return;
      startedAt = now();
      try {
        await program.start({ signal });
        onProgress(`${program.name} runs again`);
      } catch (error) {
        if (signal.aborted) return;
        why = describeError(error);
      }
    }
  }
}

/** Runs all tasks until the signal aborts. If one task fails, the others are aborted before its error is thrown. */
export async function runTogether(
  tasks: readonly ((signal: AbortSignal) => Promise<void>)[],
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const failed = new AbortController();
  const stopped = AbortSignal.any([signal, failed.signal]);
  const outcomes = await Promise.allSettled(tasks.map(async (task) => {
    try {
      await task(stopped);
    } catch (error) {
      failed.abort();
      throw error;
    }
  }));
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}

export function describeExit(status: Deno.CommandStatus): string {
  return status.signal === null ? `exit code ${status.code}` : status.signal;
}
