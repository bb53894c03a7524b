/** What the programs of the stack say: progress on standard error, results on standard output. */

import { PipelineError } from "../workers/_shared/errors.ts";

/** Says it to whoever watches; a terminal that was closed is no reason to fail. */
export function sayProgress(text: string): void {
  try {
    Deno.stderr.writeSync(new TextEncoder().encode(`${text}\n`));
  } catch {
    // The signal that came with the closing ends the program in order.
  }
}

/** @throws PipelineError when nobody reads standard output any more, because then there is nothing to run for */
export function sayResult(text: string): void {
  try {
    Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
  } catch (error) {
    throw new PipelineError("stack_failed", "Cannot write to standard output", { cause: error });
  }
}
