/** The data folder of a stack, used by one process at a time. */
import { join, resolve } from "node:path";
import { endOrphans } from "./child.ts";
import { PipelineError } from "../workers/_shared/errors.ts";

export interface Home extends Disposable {
  /** Absolute path. */
  readonly path: string;
  /** Where the id of a child process is kept. */
  readonly pidFile: (name: string) => string;
  /** Ends what an earlier, killed run left running here. */
  readonly endOrphans: () => Promise<{ readonly name: string; readonly pid: number }[]>;
}

/** For each of the left-over processes. */
const ORPHAN_DEADLINE_MS = 5_000;

/**
 * Takes the folder for this process. The operating system gives it back whatever way the process ends.
 *
 * @throws PipelineError when another process has it, with the process's id
 */
export async function takeHome(folder: string): Promise<Home> {
  const path = resolve(folder);
  await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  const pids = join(path, "pids");
  await Deno.mkdir(pids, { recursive: true });
  const lock = await Deno.open(join(path, "lock"), { create: true, write: true });
  const ownerFile = join(path, "owner.pid");
  if (!await lock.tryLock(true)) {
    lock.close();
    const owner = (await Deno.readTextFile(ownerFile).catch(() => "")).trim() || "unknown";
    throw new PipelineError(
      "stack_failed",
      `Cannot start: one is already running on ${path} (process ${owner}), expected one at a time; ` +
        "stop that one, or choose another folder with --home",
    );
  }
  // Beside the lock: Windows lets nobody read a file that is locked.
  await Deno.writeTextFile(ownerFile, `${Deno.pid}\n`);
  return {
    path,
    pidFile: (name) => join(pids, `${name}.pid`),
    endOrphans: () => endOrphans(pids, ORPHAN_DEADLINE_MS),
    [Symbol.dispose]: () => {
      Deno.removeSync(ownerFile);
      lock.close();
    },
  };
}
