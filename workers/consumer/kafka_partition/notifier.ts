/** Wakes one waiting loop. A notification that comes while the loop works is kept for its next wait. */
export class Notifier {
  #pending = false;
  #wake: (() => void) | undefined;

  notify(): void {
    this.#pending = true;
    this.#wake?.();
  }

  /** Resolves after `atMostMs`, when `signal` aborts, or at a notification. One since the last wait counts, too. */
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
