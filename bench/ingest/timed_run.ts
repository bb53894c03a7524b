/** A program that reads a log, from its start until all of the log is stored. */
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

export interface Seen {
  readonly begun: boolean;
  /** How many are there at least. */
  readonly rows: number;
  readonly all: boolean;
}

/**
 * @param look what is stored; asked again and again, so it must cost little
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
    let last = { rows: 0, at: began };
    for (;;) {
      const { begun, rows, all } = await look();
      const at = performance.now();
      if (begun) first ??= { rows, at };
      if (first !== undefined && all) {
        const cpu = spent(before, await cpuTime(stack, child.pid));
        const memory = await sampleProcess(child.pid);
        await insist();
        return {
          rowsPerSecond: (log.records - first.rows) / (at - first.at) * 1000,
          seconds: (at - began) / 1000,
          cpu,
          peakMb: memory && memory.peakKb / 1024,
        };
      }
      if (rows > last.rows) last = { rows, at };
      const stalled = last.rows > 0 && at - last.at > STALLED_MS;
      if (!child.running || at - began > DEADLINE_MS || stalled) {
        throw new Error(
          `not all of ${log.records} records were stored, ${rows} are known to be; the program's last words:\n${
            child.tail.join("\n")
          }`,
        );
      }
      await sleep(LOOK_EVERY_MS, { signal: AbortSignal.timeout(DEADLINE_MS) });
    }
  } finally {
    await child.stop(STOP_DEADLINE_MS);
  }
}
