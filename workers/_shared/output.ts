/** What a program says beside its log. */

/**
 * Writes to standard output. When its reader is gone, as after `| head -1`, the rest is dropped: the work was done all
 * the same, and the exit code says how it went.
 */
export function writeOut(text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let from = 0; from < bytes.length;) from += Deno.stdout.writeSync(bytes.subarray(from));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

/** Writes to standard error. Whatever keeps it from that is no reason to end: nothing else could hear of it. */
export function writeError(text: string): void {
  try {
    Deno.stderr.writeSync(new TextEncoder().encode(text));
  } catch {
    // The terminal, the pipe or the disk behind it is gone.
  }
}
