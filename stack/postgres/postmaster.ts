/** The lock file that a PostgreSQL server keeps in its data directory. */
import { join } from "node:path";
import { commandLine } from "../process/process_table.ts";

/** The process that serves this data directory; undefined when the lock file is absent or left from a dead one. */
export async function postmasterPid(data: string): Promise<number | undefined> {
  const text = await Deno.readTextFile(lockFile(data)).catch(() => "");
  const pid = Number(text.split("\n")[0]);
  if (text === "" || !Number.isInteger(pid) || pid <= 0) return undefined;
  return (await commandLine(pid))?.includes(data) ? pid : undefined;
}

/**
 * PostgreSQL takes over the lock file of a dead server by itself, unless another process got the same id since; then
 * it would refuse to start.
 */
export async function removeStaleLock(data: string): Promise<void> {
  if (await postmasterPid(data) === undefined) await Deno.remove(lockFile(data)).catch(() => {});
}

function lockFile(data: string): string {
  return join(data, "postmaster.pid");
}
