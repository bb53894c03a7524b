/** A program that reads a log, from its start until all of the log is stored and the rollup has followed. */
import type { Child } from "../../stack/process/child.ts";
import { sleep } from "../../workers/_shared/backoff.ts";
import { sampleProcess } from "../lab/process_sample.ts";
import { cpuTime, type Lab, type Run, spent } from "./lab.ts";

const LOOK_EVERY_MS = 50;
const STOP_DEADLINE_MS = 15_000;
/** Longer than any machine of today needs for what `task bench` publishes. */
const DEADLINE_MS = 600_000;
/** So long without a row more, and it will not store the rest. */
const STALLED_MS = 60_000;

/** How far the rollup of the rows is behind them; peers have none. */
export interface Following {
  /** Records; 0 when it has followed. */
  readonly behind: number;
  /** Age of the oldest of them. */
  readonly lagSeconds: number;
}

export interface Seen extends Following {
  readonly begun: boolean;
  /** How many are there at least. */
  readonly rows: number;
}

/**
 * @param look what is stored, and what follows from it; asked again and again, so it must cost little
 * @param insist throws when the rows are not those of the log, each once
 * @throws Error when the program ends or takes too long before all is stored
 */
export async function timedRun(
  { stack, log }: Lab,
  { start, look, insist }: {
    readonly start: () => Child | Promise<Child>;
    readonly look: () => Promise<Seen>;
    readonly insist: () => Promise<void>;
  },
): Promise<Run> {
  const before = await cpuTime(stack);
  const began = performance.now();
  const child = await start();
  try {
    let first: { readonly rows: number; readonly at: number } | undefined;
    let last = { rows: 0, behind: 0, at: began };
    let stored: number | undefined;
    let mostLag = 0;
    for (;;) {
      const { begun, rows, behind, lagSeconds } = await look();
      const at = performance.now();
      if (begun) first ??= { rows, at };
      if (rows >= log.records) stored ??= at;
      mostLag = Math.max(mostLag, lagSeconds);
      if (first !== undefined && stored !== undefined && behind === 0) {
        const cpu = spent(before, await cpuTime(stack, child.pid));
        const memory = await sampleProcess(child.pid);
        await insist();
        const { rows: from, at: since } = first;
        const rate = (until: number) => (log.records - from) / (until - since) * 1000;
        return {
          rowsPerSecond: rate(at),
          storedPerSecond: rate(stored),
          lagSeconds: mostLag,
          cpu,
          peakMb: memory && memory.peakKb / 1024,
        };
      }
      if (rows > last.rows || behind < last.behind) last = { rows, behind, at };
      const stalled = last.rows > 0 && at - last.at > STALLED_MS;
      if (!child.running || at - began > DEADLINE_MS || stalled) {
        throw new Error(
          `of ${log.records} records ${rows} are known to be stored, and the rollup is ${behind} behind; ` +
            `the program's last words:\n${child.tail.join("\n")}`,
        );
      }
      await sleep(LOOK_EVERY_MS, { signal: AbortSignal.timeout(DEADLINE_MS) });
    }
  } finally {
    await child.stop(STOP_DEADLINE_MS);
  }
}
