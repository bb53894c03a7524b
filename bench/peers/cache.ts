/** What the peers are built into: the user's cache folder, since other projects' programs have no place in a clone. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { Child, type ChildOptions } from "../../stack/process/child.ts";
import { exists } from "../../stack/process/clone.ts";
import { PipelineError } from "../../workers/_shared/errors.ts";

const LINES_OF_A_FAILURE = 5;

/** Absolute path; made when it is missing. */
export async function cacheFolder(): Promise<string> {
  // Asked of a shell: the permission sets of the benchmarks do not show us the user's environment.
  const home = await run("sh", ["-c", 'printf %s "${XDG_CACHE_HOME:-$HOME/.cache}"']);
  const folder = join(home ?? "", "heartbeat-peers");
  await Deno.mkdir(join(folder, "pids"), { recursive: true });
  return folder;
}

/**
 * Runs a program to its end.
 *
 * @returns its standard output; undefined when there is no such program
 * @throws PipelineError with its last words when it fails
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
    const said = (decoder.decode(stderr).trim() || decoder.decode(stdout).trim()).split("\n");
    throw new PipelineError(
      "stack_failed",
      `Cannot run ${command} ${args.join(" ")}: ${said.slice(-LINES_OF_A_FAILURE).join(" ")}`,
    );
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Starts what was built. @throws PipelineError when it was not */
export async function startBuilt(
  name: string,
  options: Pick<ChildOptions, "command" | "args" | "env" | "onLine">,
): Promise<Child> {
  if (!await exists(options.command)) {
    throw new PipelineError(
      "stack_failed",
      `Cannot start ${name}: it was not prepared, expected ${options.command}`,
    );
  }
  const pidFile = join(await cacheFolder(), "pids", `${name}-${randomBytes(6).toString("hex")}.pid`);
  return new Child({ ...options, pidFile, stopSignal: "SIGTERM" });
}

/** The variables that say from where to where, the same for every peer. */
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
