/** `deno task reconcile` as its users run it: a process that shares no code with the judge. */
import { CLONE } from "../stack/clone.ts";
import { taskArguments } from "../stack/worker_task.ts";
import type { Arena } from "./arena.ts";

/** @returns its words when it finds something unaccounted for */
export async function reconcile(arena: Arena, { signal }: { signal: AbortSignal }): Promise<string[]> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: taskArguments("reconcile"),
    env: {
      KAFKA_BOOTSTRAP_SERVERS: arena.kafka.servers,
      KAFKA_TOPIC: arena.topic,
      ...(Object.hasOwn(arena.consumerEnv, "DATABASE_URL") ? { DATABASE_URL: arena.databaseUrl } : {}),
    },
    cwd: CLONE,
    stdin: "null",
    signal,
  }).output();
  if (success || signal.aborted) return [];
  const words = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  return [`reconcile found something unaccounted for:\n${words.trim()}`];
}
