/** Waiting for consumers as long as they get on. */
import { waitFor } from "../stack/wait.ts";
import type { LedgerWatch } from "./ledger_watch.ts";

/** A consumer group that is left alone and does not move for so long will not. */
export const STANDSTILL_MS = 120_000;

export interface StandstillOptions {
  readonly standstillMs: number;
  readonly signal: AbortSignal;
}

/**
 * Waits for a fact, however long it takes, while the ledger moves.
 *
 * @returns false when nothing was committed for `standstillMs` before it came; true also when `signal` aborted
 */
export async function comesWhileMoving(
  fact: Promise<unknown>,
  watch: Pick<LedgerWatch, "next">,
  { standstillMs, signal }: StandstillOptions,
): Promise<boolean> {
  let there = false;
  fact.then(() => there = true, () => there = true);
  const at = () => watch.next.reduce((sum, next) => sum + next, 0);
  while (!there && !signal.aborted) {
    const seen = at();
    const moved = () => Promise.resolve(there || signal.aborted || at() !== seen);
    if (!await waitFor(moved, standstillMs)) return false;
  }
  return true;
}
