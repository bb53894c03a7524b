/** Injects each fault of a schedule at its time, and measures the recovery. */
import { sleep } from "../workers/_shared/backoff.ts";
import type { Arena } from "./arena/arena.ts";
import type { ConsumerProcess } from "./arena/consumer_process.ts";
import { injectFault } from "./arena/inject_fault.ts";
import { describeFault, type Fault, targetName } from "./faults/fault.ts";
import type { LedgerWatch } from "./judge/ledger_watch.ts";
import type { Load } from "./load/load.ts";
import type { InjectedFault } from "./outcome.ts";

export interface FaultInjectorOptions {
  readonly faults: readonly Fault[];
  readonly arena: Arena;
  readonly consumers: readonly ConsumerProcess[];
  readonly load: Load;
  readonly watch: LedgerWatch;
  readonly onProgress: (text: string) => void;
}

export class FaultInjector {
  readonly injected: InjectedFault[] = [];
  readonly #options: FaultInjectorOptions;
  /** The last fault of each target. The next fault of the target waits for its end. */
  readonly #lastFaults = new Map<string, Promise<void>>();
  readonly #recovering: Promise<void>[] = [];

  constructor(options: FaultInjectorOptions) {
    this.#options = options;
  }

  get active(): number {
    return this.injected.filter(({ endedMs }) => endedMs === undefined).length;
  }

  /**
   * When the signal aborts, active faults stay active.
   *
   * @throws if a server does not start again
   */
  async run({ signal }: { signal: AbortSignal }): Promise<void> {
    const beganAt = performance.now();
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    for (const fault of this.#options.faults) {
      await sleep(fault.startMs - (performance.now() - beganAt), { signal: either });
      if (either.aborted) break;
      const target = targetName(fault.target);
      const previous = this.#lastFaults.get(target) ?? Promise.resolve();
      const injecting = previous.then(() => this.#inject(fault, beganAt, either));
      injecting.catch((error) => failed.abort(error));
      this.#lastFaults.set(target, injecting);
    }
    await Promise.race([Promise.all(this.#lastFaults.values()), whenAborted(signal)]);
  }

  async allRecovered(): Promise<void> {
    await Promise.all(this.#recovering);
  }

  async #inject(fault: Fault, beganAt: number, signal: AbortSignal): Promise<void> {
    const { arena, consumers, onProgress } = this.#options;
    if (signal.aborted) return;
    const entry: InjectedFault = { fault, endedMs: undefined, recoveryMs: undefined };
    this.injected.push(entry);
    onProgress(`begins   ${describeFault(fault)}`);
    const begun = performance.now();
    const end = await injectFault(fault, arena, consumers);
    await sleep(fault.lengthMs - (performance.now() - begun), { signal });
    if (signal.aborted) return;
    await end();
    entry.endedMs = performance.now() - beganAt;
    onProgress(`ended    #${fault.number}, after ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    this.#recovering.push(this.#measureRecovery(entry));
  }

  async #measureRecovery(entry: InjectedFault): Promise<void> {
    const { load, watch, onProgress } = this.#options;
    const endedAt = performance.now();
    const { what } = entry.fault.target;
    // The log has no new record until a send succeeds. Without this wait the recovery time would be 0.
    if (what === "broker" || what === "link producer-Kafka") {
      await Promise.race([load.acknowledgement, load.finished]);
    }
    await watch.whenReached(load.sends.ends);
    entry.recoveryMs = performance.now() - endedAt;
    onProgress(
      `recovered #${entry.fault.number}, ${(entry.recoveryMs / 1000).toFixed(1)} s after its end`,
    );
  }
}

export function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
