import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { Child, type ChildOptions } from "../../stack/process/child.ts";
import { exists } from "../../stack/process/clone.ts";
import { PipelineError } from "../../workers/_shared/errors.ts";

const FAILURE_LINES = 5;

/** The user's cache folder, because other projects' programs do not belong in a clone. The folder is created if it is missing. */
export async function cacheFolder(): Promise<string> {
  // In a shell, because the permission sets of the benchmarks do not include these environment variables.
  const home = await run("sh", ["-c", 'printf %s "${XDG_CACHE_HOME:-$HOME/.cache}"']);
  const folder = join(home ?? "", "heartbeat-peers");
  await Deno.mkdir(join(folder, "pids"), { recursive: true });
  return folder;
}

/**
 * @returns standard output; undefined if there is no such program
 * @throws PipelineError with the last lines of the output if the program fails
 */
export async function run(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string | undefined> {
  const decoder = new TextDecoder();
  try {
    const { success, stdout, stderr } = await new Deno.Command(command, {
      args: [...args],
      env: { ...env },
      stdin: "null",
    }).output();
    if (success) return decoder.decode(stdout).trim();
    const lines = (decoder.decode(stderr).trim() || decoder.decode(stdout).trim()).split("\n");
    throw new PipelineError(
      "stack_failed",
      `Cannot run ${command} ${args.join(" ")}: ${lines.slice(-FAILURE_LINES).join(" ")}`,
    );
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

export async function startBuilt(
  name: string,
  options: Pick<ChildOptions, "command" | "args" | "env" | "onLine">,
): Promise<Child> {
  if (!await exists(options.command)) {
    throw new PipelineError(
      "stack_failed",
      `Cannot start ${name}: it is not built, expected ${options.command}`,
    );
  }
  const pidFile = join(await cacheFolder(), "pids", `${name}-${randomBytes(6).toString("hex")}.pid`);
  return new Child({ ...options, pidFile, stopSignal: "SIGTERM" });
}

export function placeVariables(
  name: string,
  run: { bootstrapServers: string; topic: string; databaseUrl: string; table: string },
): Record<string, string> {
  return {
    PEER_BOOTSTRAP_SERVERS: run.bootstrapServers,
    PEER_TOPIC: run.topic,
    PEER_GROUP: `peer-${name}-${randomBytes(6).toString("hex")}`,
    PEER_DATABASE_URL: run.databaseUrl,
    PEER_TABLE: run.table,
  };
}
