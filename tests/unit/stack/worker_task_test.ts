import { deepStrictEqual, ok } from "node:assert";
import { join } from "node:path";
import { CLONE } from "../../../stack/process/clone.ts";
import { taskArguments } from "../../../stack/worker_task.ts";

Deno.test("taskArguments() contains the permissions and the heap limit of the task", () => {
  const args = taskArguments("consumer", ["--preload", "first.ts"]);
  deepStrictEqual(args.slice(0, 4), ["run", "-q", "--no-prompt", "-P=consumer"]);
  ok(args.some((arg) => /^--v8-flags=--max-old-space-size=\d+,/.test(arg)), args.join(" "));
  deepStrictEqual(args.slice(-3), ["--preload", "first.ts", join(CLONE, "workers", "consumer", "main.ts")]);
});

Deno.test("taskArguments() ends with the program of the task", () => {
  for (
    const [worker, main] of [["producer", "workers/producer/main.ts"], ["chaos", "chaos/main.ts"]] as const
  ) {
    deepStrictEqual(taskArguments(worker).at(-1), join(CLONE, ...main.split("/")));
  }
});
