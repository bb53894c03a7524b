/** What the programs of the stack say: progress on standard error, results on standard output. */

import { PipelineError } from "../workers/_shared/errors.ts";
import { writeError } from "../workers/_shared/output.ts";

/** A line on standard error. The signal that comes with the closing of a terminal ends the program in order. */
export function sayProgress(text: string): void {
  writeError(`${text}\n`);
}

/** @throws PipelineError when nobody reads standard output any more, because then there is nothing to run for */
export function sayResult(text: string): void {
  try {
    Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
  } catch (error) {
    throw new PipelineError("stack_failed", "Cannot write to standard output", { cause: error });
  }
}
