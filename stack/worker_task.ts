import { join } from "node:path";
import configuration from "../deno.json" with { type: "json" };
import { CLONE } from "./process/clone.ts";

const TASKS = {
  consumer: "consume",
  producer: "produce",
  monitor: "monitor",
  reconcile: "reconcile",
  scenarios: "scenarios",
  sql: "sql",
  chaos: "chaos",
} as const;

export type TaskWorker = keyof typeof TASKS;

/**
 * Returns Deno's arguments to run a worker as its task does, with the same permissions and V8 flags. The arguments of
 * the worker come after them.
 *
 * @param flags further flags for Deno
 */
export function taskArguments(worker: TaskWorker, flags: readonly string[] = []): string[] {
  const [_deno, ...words] = configuration.tasks[TASKS[worker]].command.split(" ");
  const main = words.pop() ?? "";
  return [...words, ...flags, join(CLONE, main)];
}
