/** Lets a loop sleep until there may be work. A notification that comes while the loop works is kept. */
export class Notifier {
  #pending = false;
  #wake: (() => void) | undefined;

  notify(): void {
    this.#pending = true;
    this.#wake?.();
  }

  /** Resolves at a notification since the last call, after `atMostMs`, or when `signal` aborts. For one waiter. */
  async wait({ signal, atMostMs = Infinity }: { signal: AbortSignal; atMostMs?: number }): Promise<void> {
    if (!this.#pending && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<unknown>();
      const timer = atMostMs === Infinity ? undefined : setTimeout(resolve, atMostMs);
      signal.addEventListener("abort", resolve, { once: true });
      this.#wake = () => resolve(undefined);
      await promise;
      this.#wake = undefined;
      clearTimeout(timer);
      signal.removeEventListener("abort", resolve);
    }
    this.#pending = false;
  }
}
