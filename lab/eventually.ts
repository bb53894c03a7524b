const LOOK_EVERY_MS = 50;
/** Long, because it only bounds a failing test. It is no promise about speed. */
const DEADLINE_MS = 60_000;

/**
 * Calls `look` until it returns something.
 *
 * @param what the fact, for the message "waited 60 s for ..."
 * @param look returns undefined or false while the fact is missing; an error counts as missing, too
 * @throws Error with what was seen last
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
