/** What arrives in pieces, one at a time. */

/** The next one at once where it is there, or a promise of it: waiting for each would take most of the time. */
export interface Source<T> {
  readonly next: () => IteratorResult<T, unknown> | Promise<IteratorResult<T, unknown>>;
}

/** The promise's value, or undefined when the signal aborts first: nothing else ends the wait for a pipe. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) resolve(undefined);
    const onAbort = () => resolve(undefined);
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

/** Waits only between two pieces, and then until there is one that is not empty. */
export function onePiecewise<T>(pieces: AsyncIterator<readonly T[]>): Source<T> {
  let piece: readonly T[] = [];
  let at = 0;
  const refill = async (): Promise<IteratorResult<T, unknown>> => {
    for (;;) {
      const { done, value } = await pieces.next();
      if (done === true) return { done, value: undefined };
      piece = value;
      at = 0;
      if (piece.length > 0) return take();
    }
  };
  const take = (): IteratorResult<T, unknown> => ({ done: false, value: piece[at++] as T });
  return { next: () => at < piece.length ? take() : refill() };
}
