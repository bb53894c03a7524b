import { join, resolve } from "node:path";
import { endOrphans } from "./process/child.ts";
import { describeError, PipelineError } from "../workers/_shared/errors.ts";
import { isLocked, LOCK_FILE } from "../workers/_shared/running_servers.ts";
import { removeAddresses } from "./addresses.ts";
import { startKeeper } from "./process/keeper.ts";

/** The data folder of a stack. Only one process at a time owns it. */
export interface Home extends Disposable {
  readonly path: string;
  readonly pidFile: (name: string) => string;
  readonly endOrphans: () => Promise<{ readonly name: string; readonly pid: number }[]>;
}

const OWNER_FILE = "owner.pid";
/** Time that each process has to stop before it gets SIGKILL. */
const ORPHAN_DEADLINE_MS = 5_000;

/**
 * Locks the folder for this process. The operating system releases the lock when the process ends in any way.
 *
 * @throws PipelineError with the process id of the owner, if there is one
 */
export async function takeHome(folder: string): Promise<Home> {
  const path = resolve(folder);
  const pids = join(path, "pids");
  const lock = await openLock(path, pids);
  const ownerFile = join(path, OWNER_FILE);
  if (!await lock.tryLock(true)) {
    lock.close();
    const owner = await readOwner(path) ?? "unknown";
    throw new PipelineError(
      "stack_failed",
      `Cannot start: one is already running on ${path} (process ${owner}), expected one at a time; ` +
        "stop that one, or choose another folder with --home",
    );
  }
  // A killed run may have left it, and with this process's lock the other tasks would use it.
  removeAddresses(path);
  // The process id is not in the lock file, because on Windows no other process can read a locked file.
  await Deno.writeTextFile(ownerFile, `${Deno.pid}\n`);
  const keeper = startKeeper(path);
  return {
    path,
    pidFile: (name) => join(pids, `${name}.pid`),
    endOrphans: () => endOrphans(pids, ORPHAN_DEADLINE_MS),
    [Symbol.dispose]: () => {
      keeper[Symbol.dispose]();
      Deno.removeSync(ownerFile);
      lock.close();
    },
  };
}

async function openLock(path: string, pids: string): Promise<Deno.FsFile> {
  try {
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
    await Deno.mkdir(pids, { recursive: true });
    return await Deno.open(join(path, LOCK_FILE), { create: true, write: true });
  } catch (error) {
    throw new PipelineError(
      "stack_failed",
      `Cannot use the data folder ${path}: ${
        describeError(error)
      }, expected one that this user may write to; ` +
        "choose another with --home",
      { cause: error },
    );
  }
}

export async function ownerOf(folder: string): Promise<number | undefined> {
  const path = resolve(folder);
  return await isLocked(join(path, LOCK_FILE)) ? await readOwner(path) : undefined;
}

async function readOwner(path: string): Promise<number | undefined> {
  const pid = Number(await Deno.readTextFile(join(path, OWNER_FILE)).catch(() => ""));
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}
