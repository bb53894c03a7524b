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
  /** The last fault of each target: the next one waits for it. */
  readonly #busy = new Map<string, Promise<void>>();
  readonly #recovering: Promise<void>[] = [];

  constructor(options: FaultInjectorOptions) {
    this.#options = options;
  }

  get active(): number {
    return this.injected.filter(({ endedMs }) => endedMs === undefined).length;
  }

  /** When the signal aborts, active faults stay active. @throws if a server does not start again */
  async run({ signal }: { signal: AbortSignal }): Promise<void> {
    const beganAt = performance.now();
    const broken = new AbortController();
    const either = AbortSignal.any([signal, broken.signal]);
    for (const fault of this.#options.faults) {
      await sleep(fault.startMs - (performance.now() - beganAt), { signal: either });
      if (either.aborted) break;
      const target = targetName(fault.target);
      const before = this.#busy.get(target) ?? Promise.resolve();
      const injecting = before.then(() => this.#inject(fault, beganAt, either));
      injecting.catch((error) => broken.abort(error));
      this.#busy.set(target, injecting);
    }
    await Promise.race([Promise.all(this.#busy.values()), whenAborted(signal)]);
  }

  async allRecovered(): Promise<void> {
    await Promise.all(this.#recovering);
  }

  async #inject(fault: Fault, beganAt: number, signal: AbortSignal): Promise<void> {
    const { arena, consumers, onProgress } = this.#options;
    if (signal.aborted) return;
    const one: InjectedFault = { fault, endedMs: undefined, recoveryMs: undefined };
    this.injected.push(one);
    onProgress(`begins   ${describeFault(fault)}`);
    const begun = performance.now();
    const end = await injectFault(fault, arena, consumers);
    await sleep(fault.lengthMs - (performance.now() - begun), { signal });
    if (signal.aborted) return;
    await end();
    one.endedMs = performance.now() - beganAt;
    onProgress(`ended    #${fault.number}, after ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    this.#recovering.push(this.#recover(one));
  }

  async #recover(one: InjectedFault): Promise<void> {
    const { load, watch, onProgress } = this.#options;
    const endedAt = performance.now();
    const { what } = one.fault.target;
    // Without this the recovery would be 0: the log has no new record until a send succeeds.
    if (what === "broker" || what === "link producer-Kafka") {
      await Promise.race([load.acknowledgement, load.finished]);
    }
    await watch.whenReached(load.sends.ends);
    one.recoveryMs = performance.now() - endedAt;
    onProgress(`#${one.fault.number} recovered ${(one.recoveryMs / 1000).toFixed(1)} s after its end`);
  }
}

export function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
