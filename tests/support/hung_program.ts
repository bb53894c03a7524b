import { PipelineError } from "../../workers/_shared/errors.ts";
import { runWorker } from "../../workers/_shared/lifecycle.ts";

/** A program that gives up while one of its resources never closes. */
await runWorker(async ({ fail, resources, secrets }) => {
  secrets.hide(["sesame-open"]);
  // Keeps the process alive, as the sockets of a worker do.
  setInterval(() => {}, 1_000);
  resources.defer("the loop that hangs", () => new Promise<void>(() => {}));
  fail(new PipelineError("stuck", "Cannot go on: the server of sesame-open says nothing"));
  await Promise.resolve();
});
