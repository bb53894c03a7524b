/** What arrives in pieces, one at a time. */

/** The next one at once where it is there, or a promise of it: waiting for each would take most of the time. */
export interface Source<T> {
  readonly next: () => IteratorResult<T, unknown> | Promise<IteratorResult<T, unknown>>;
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
