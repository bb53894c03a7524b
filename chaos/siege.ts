/** Carries a schedule out: each fault at its time, one after the other where they hit the same target, and its recovery. */
import { sleep } from "../workers/_shared/backoff.ts";
import type { Arena } from "./arena/arena.ts";
import type { ConsumerProcess } from "./arena/consumer_process.ts";
import { disturb } from "./arena/disturb.ts";
import { describeFault, type Fault, targetName } from "./faults/fault.ts";
import type { LedgerWatch } from "./judge/ledger_watch.ts";
import type { Load } from "./load/load.ts";
import type { Suffered } from "./outcome.ts";

export interface SiegeOptions {
  readonly faults: readonly Fault[];
  readonly arena: Arena;
  readonly consumers: readonly ConsumerProcess[];
  readonly load: Load;
  readonly watch: LedgerWatch;
  readonly onProgress: (text: string) => void;
}

export class Siege {
  readonly suffered: Suffered[] = [];
  readonly #options: SiegeOptions;
  /** The last fault of each target, until it has ended. */
  readonly #busy = new Map<string, Promise<void>>();
  /** Of those that have ended. */
  readonly #recovering: Promise<void>[] = [];

  constructor(options: SiegeOptions) {
    this.#options = options;
  }

  /** How many have begun and not ended. */
  get active(): number {
    return this.suffered.filter(({ endedMs }) => endedMs === undefined).length;
  }

  /**
   * Resolves when every fault has ended; when the signal aborts, at once and with what is disturbed left so.
   *
   * @throws when a server does not come back
   */
  async run({ signal }: { signal: AbortSignal }): Promise<void> {
    const beganAt = performance.now();
    const broken = new AbortController();
    const either = AbortSignal.any([signal, broken.signal]);
    for (const fault of this.#options.faults) {
      await sleep(fault.startMs - (performance.now() - beganAt), { signal: either });
      if (either.aborted) break;
      const target = targetName(fault.target);
      // Only the beginning is late when the one before took longer than planned to come back.
      const before = this.#busy.get(target) ?? Promise.resolve();
      const taking = before.then(() => this.#suffer(fault, beganAt, either));
      taking.catch((error) => broken.abort(error));
      this.#busy.set(target, taking);
    }
    await Promise.race([Promise.all(this.#busy.values()), aborted(signal)]);
  }

  /** Resolves when all that was in the log at the end of each fault is committed. */
  async recovered(): Promise<void> {
    await Promise.all(this.#recovering);
  }

  async #suffer(fault: Fault, beganAt: number, signal: AbortSignal): Promise<void> {
    const { arena, consumers, onProgress } = this.#options;
    if (signal.aborted) return;
    const one: Suffered = { fault, endedMs: undefined, recoveryMs: undefined };
    this.suffered.push(one);
    onProgress(`begins   ${describeFault(fault)}`);
    const begun = performance.now();
    const end = await disturb(fault, arena, consumers);
    await sleep(fault.lengthMs - (performance.now() - begun), { signal });
    if (signal.aborted) return;
    await end();
    one.endedMs = performance.now() - beganAt;
    onProgress(`ended    #${fault.number}, after ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    this.#recovering.push(this.#recover(one));
  }

  async #recover(one: Suffered): Promise<void> {
    const { load, watch, onProgress } = this.#options;
    const endedAt = performance.now();
    const { what } = one.fault.target;
    // While nothing gets into the log there is nothing to be behind with.
    if (what === "broker" || what === "link producer-Kafka") {
      await Promise.race([load.acknowledgement, load.finished]);
    }
    await watch.reaches(load.sends.ends);
    one.recoveryMs = performance.now() - endedAt;
    onProgress(`#${one.fault.number} recovered ${(one.recoveryMs / 1000).toFixed(1)} s after its end`);
  }
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
