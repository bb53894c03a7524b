/**
 * Folder `lab`: what tests and benchmarks both arrange: a topic and a database of their own, records in them, workers as
 * processes, waiting for facts. It asserts nothing.
 *
 * Waiting for facts. A test that sleeps is either slow or wrong; one that waits for a fact is neither.
 */

const LOOK_EVERY_MS = 50;
/** Generous on purpose: it bounds a failing test and is never a promise about speed. */
const DEADLINE_MS = 60_000;

/**
 * Looks until there is something to see.
 *
 * @param what completes "waited for ..." when it never comes
 * @param look gives undefined or false while it is not there; what it throws counts as not there, and is told at the end
 * @throws with what was seen last
 */
export async function eventually<T>(
  what: string,
  look: () => T | Promise<T>,
  { withinMs = DEADLINE_MS, seen }: { withinMs?: number; seen?: () => unknown } = {},
): Promise<Exclude<T, undefined | false>> {
  const end = performance.now() + withinMs;
  for (;;) {
    let last: unknown;
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found as Exclude<T, undefined | false>;
      last = seen?.();
    } catch (error) {
      last = error;
    }
    if (performance.now() >= end) {
      const text = last instanceof Error ? last.message : last === undefined ? "nothing" : Deno.inspect(last);
      throw new Error(`waited ${withinMs / 1000} s for ${what}; seen last: ${text}`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}
