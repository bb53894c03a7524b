import { runWorker, type WorkerContext } from "../workers/_shared/lifecycle.ts";
import { describeError, findInCauses, PipelineError } from "../workers/_shared/errors.ts";
import { endWithLauncher } from "./process/launcher.ts";
import { sayProgress } from "./output.ts";

/**
 * Runs `up` or `stack` and ends the process. The program also stops if its launcher has ended. If the operating system
 * refuses something, the program reports it in one sentence.
 */
export async function runProgram(main: (context: WorkerContext) => Promise<number | void>): Promise<never> {
  return await runWorker(async (context) => {
    void endWithLauncher(() => sayProgress("Stopping: the program that started this one has ended"));
    try {
      return await main(context);
    } catch (error) {
      throw withoutStackTrace(error);
    }
  });
}

/** A full disk or a folder without access is no bug of this program, so the message needs no stack trace. */
function withoutStackTrace(error: unknown): unknown {
  if (error instanceof PipelineError) return error;
  const refused = /^E[A-Z]+$/.test(String(findInCauses(error, "code"))) ||
    error instanceof Deno.errors.NotCapable;
  if (!refused) return error;
  return new PipelineError("stack_failed", `Cannot go on: ${describeError(error)}`, { cause: error });
}
