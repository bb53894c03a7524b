import { PipelineError } from "../workers/_shared/errors.ts";
import { writeError } from "../workers/_shared/output.ts";

/** Does not throw if the terminal is closed, because SIGHUP then stops the program in order. */
export function sayProgress(text: string): void {
  writeError(`${text}\n`);
}

/** @throws PipelineError if nothing reads standard output any more, because the program then has no purpose */
export function sayResult(text: string): void {
  try {
    Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
  } catch (error) {
    throw new PipelineError("stack_failed", "Cannot write to standard output", { cause: error });
  }
}
