/** `up` and `stack` from their first line to their last words. */
import { runWorker, type WorkerContext } from "../workers/_shared/lifecycle.ts";
import { describeError, findInCauses, PipelineError } from "../workers/_shared/errors.ts";
import { endWithLauncher } from "./process/launcher.ts";
import { sayProgress } from "./output.ts";

/**
 * Runs a program that starts servers, and ends the process: when it is told to, when the program that started it has ended,
 * and with one sentence when the operating system refuses something.
 */
export async function runProgram(main: (context: WorkerContext) => Promise<number | void>): Promise<never> {
  return await runWorker(async (context) => {
    void endWithLauncher(() => sayProgress("Stopping: the program that started this one has ended"));
    try {
      return await main(context);
    } catch (error) {
      throw inOneSentence(error);
    }
  });
}

/** A full disk or a folder that is closed to us is no bug of ours: nobody needs to see where in the code it was met. */
function inOneSentence(error: unknown): unknown {
  if (error instanceof PipelineError) return error;
  const refused = /^E[A-Z]+$/.test(String(findInCauses(error, "code"))) ||
    error instanceof Deno.errors.NotCapable;
  if (!refused) return error;
  return new PipelineError("stack_failed", `Cannot go on: ${describeError(error)}`, { cause: error });
}
