import { join } from "node:path";
import { commandLine } from "../process/process_table.ts";

/** @returns the process that serves this data directory, or undefined if its lock file is missing or stale */
export async function postmasterPid(data: string): Promise<number | undefined> {
  const text = await Deno.readTextFile(lockFile(data)).catch(() => "");
  const pid = Number(text.split("\n")[0]);
  if (text === "" || !Number.isInteger(pid) || pid <= 0) return undefined;
  // After a crash the process id in the file may belong to another program.
  return (await commandLine(pid))?.includes(data) ? pid : undefined;
}

/** PostgreSQL refuses to start if another program now has the process id in a stale lock file. */
export async function removeStaleLock(data: string): Promise<void> {
  if (await postmasterPid(data) === undefined) await Deno.remove(lockFile(data)).catch(() => {});
}

function lockFile(data: string): string {
  return join(data, "postmaster.pid");
}
