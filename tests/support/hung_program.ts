/** A program that gives up, and of which a part cannot be closed any more. */
import { PipelineError } from "../../workers/_shared/errors.ts";
import { runWorker } from "../../workers/_shared/lifecycle.ts";

await runWorker(async ({ fail, resources, secrets }) => {
  secrets.hide(["sesame-open"]);
  // As the sockets of a worker do, it keeps the process running.
  setInterval(() => {}, 1_000);
  resources.defer("the loop that hangs", () => new Promise<void>(() => {}));
  fail(new PipelineError("stuck", "Cannot go on: the server of sesame-open says nothing"));
  await Promise.resolve();
});
