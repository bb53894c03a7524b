import type { Child } from "../../stack/process/child.ts";
import { sleep } from "../../workers/_shared/backoff.ts";
import { sampleProcess } from "../lab/process_sample.ts";
import { cpuTime, type Lab, type Run, spent } from "./lab.ts";

const POLL_EVERY_MS = 50;
const STOP_DEADLINE_MS = 15_000;
const DEADLINE_MS = 600_000;
/** If the program makes no progress for this long, it will not store the rest. */
const STALLED_MS = 60_000;

/** How far the rollup is behind the stored rows. Peers have no rollup. */
export interface RollupProgress {
  /** Records that wait for the rollup. */
  readonly behind: number;
  /** Age of the oldest record that waits for the rollup. */
  readonly lagSeconds: number;
}

export interface StoredProgress extends RollupProgress {
  readonly begun: boolean;
  /** A lower bound of the stored rows, which is cheaper than a count. */
  readonly rows: number;
}

/**
 * Measures a program that stores a log, from its first stored rows until everything is stored and rolled up.
 * @param readStored called every 50 ms, so it must be cheap
 * @param assertComplete throws unless each reading of the log is stored exactly once
 * @throws Error if the program ends, stalls or exceeds the deadline
 */
export async function timedRun(
  { stack, log }: Lab,
  { start, readStored, assertComplete }: {
    readonly start: () => Child | Promise<Child>;
    readonly readStored: () => Promise<StoredProgress>;
    readonly assertComplete: () => Promise<void>;
  },
): Promise<Run> {
  const before = await cpuTime(stack);
  const began = performance.now();
  const child = await start();
  try {
    let first: { readonly rows: number; readonly at: number } | undefined;
    let last = { rows: 0, behind: 0, at: began };
    let stored: number | undefined;
    let maxLag = 0;
    for (;;) {
      const { begun, rows, behind, lagSeconds } = await readStored();
      const at = performance.now();
      if (begun) first ??= { rows, at };
      if (rows >= log.records) stored ??= at;
      maxLag = Math.max(maxLag, lagSeconds);
      if (first !== undefined && stored !== undefined && behind === 0) {
        const cpu = spent(before, await cpuTime(stack, child.pid));
        const memory = await sampleProcess(child.pid);
        await assertComplete();
        const { rows: from, at: since } = first;
        const rate = (until: number) => (log.records - from) / (until - since) * 1000;
        return {
          rowsPerSecond: rate(at),
          storedPerSecond: rate(stored),
          lagSeconds: maxLag,
          cpu,
          peakMb: memory && memory.peakKb / 1024,
        };
      }
      if (rows > last.rows || behind < last.behind) last = { rows, behind, at };
      const stalled = last.rows > 0 && at - last.at > STALLED_MS;
      if (!child.running || at - began > DEADLINE_MS || stalled) {
        throw new Error(
          `${rows} of ${log.records} records are known to be stored, and the rollup is ${behind} records behind; ` +
            `the last lines of the program:\n${child.tail.join("\n")}`,
        );
      }
      await sleep(POLL_EVERY_MS, { signal: AbortSignal.timeout(DEADLINE_MS) });
    }
  } finally {
    await child.stop(STOP_DEADLINE_MS);
  }
}
