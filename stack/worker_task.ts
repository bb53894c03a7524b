/** How a worker is started: as its task in deno.json does it, with the permissions and V8's flags that people get. */
import { join } from "node:path";
import configuration from "../deno.json" with { type: "json" };
import { CLONE } from "./process/clone.ts";

/** The task that starts each. */
const TASKS = {
  consumer: "consume",
  producer: "produce",
  reconcile: "reconcile",
  scenarios: "scenarios",
  chaos: "chaos",
} as const;

export type TaskWorker = keyof typeof TASKS;

/**
 * What Deno is given to run a worker, its own arguments behind them.
 *
 * @param flags more of Deno's
 */
export function taskArguments(worker: TaskWorker, flags: readonly string[] = []): string[] {
  const [_deno, ...words] = configuration.tasks[TASKS[worker]].command.split(" ");
  const main = words.pop() ?? "";
  return [...words, ...flags, join(CLONE, main)];
}
