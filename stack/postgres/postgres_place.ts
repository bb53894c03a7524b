/**
 * Decides where PostgreSQL's programs and data are. Normally the programs are in the clone and the data is in the data
 * folder. If this process runs as root, PostgreSQL must run as another user, which often cannot enter the clone, for
 * example below /root. Then both are in /var/tmp, in a folder for this clone. It belongs to root, and other users can
 * only read it.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { PipelineError } from "../../workers/_shared/errors.ts";
import type { OsUser } from "../process/child.ts";
import { CLONE, digest, exists, removeFolder, STACK_FOLDER } from "../process/clone.ts";
import { isRoot, unprivilegedUser } from "../process/os_user.ts";
import { postmasterPid } from "./postmaster.ts";

export interface PostgresPlace {
  readonly programs: string;
  /** The parent of the data directory. `user` may write to it. */
  readonly folder: string;
  /** Undefined: the user of this process. */
  readonly user: OsUser | undefined;
}

/** Every user may enter this folder. Unlike /tmp, it survives a reboot. */
const OUTSIDE = "/var/tmp";
const OWNER_FILE = "belongs-to";
/** Another process may still be creating a folder that is younger than this. */
const GRACE_PERIOD_MS = 60_000;

/** @param home absolute path of an existing data folder */
export async function postgresPlace(home: string): Promise<PostgresPlace> {
  if (!isRoot()) {
    await Deno.mkdir(STACK_FOLDER, { recursive: true });
    return { programs: STACK_FOLDER, folder: await folderIn(home), user: undefined };
  }
  const user = await unprivilegedUser();
  const outside = postgresFolderOf(CLONE);
  await ownFolder(outside);
  await removeAbandoned(outside);

  const pointer = join(home, "postgres.path");
  const known = await Deno.readTextFile(pointer).then((text) => text.trim(), () => undefined);
  if (known !== undefined && await exists(known) && await homeOf(known) === home) {
    return { programs: outside, folder: known, user };
  }
  const folder = join(outside, `data-${randomBytes(6).toString("hex")}`);
  await Deno.mkdir(folder, { mode: 0o700 });
  await Deno.writeTextFile(join(folder, OWNER_FILE), `${home}\n`);
  await Deno.chown(folder, user.uid, user.gid);
  await Deno.writeTextFile(pointer, `${folder}\n`);
  return { programs: outside, folder, user };
}

export function postgresFolderOf(clone: string): string {
  return join(OUTSIDE, `heartbeat-stack-${digest(clone)}`);
}

async function folderIn(home: string): Promise<string> {
  const folder = join(home, "postgres");
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  return folder;
}

/** Root runs programs from this folder, so another user must not have created it or be able to write to it. */
async function ownFolder(folder: string): Promise<void> {
  await Deno.mkdir(folder, { mode: 0o755 }).catch((error) => {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  });
  const { isDirectory, uid, mode } = await Deno.lstat(folder);
  if (isDirectory && uid === 0 && ((mode ?? 0) & 0o022) === 0) return;
  throw new PipelineError(
    "stack_failed",
    `Cannot start PostgreSQL: ${folder} belongs to another user or others may write to it, ` +
      "expected a folder that only root may change; remove it",
  );
}

async function homeOf(folder: string): Promise<string | undefined> {
  return await Deno.readTextFile(join(folder, OWNER_FILE)).then((text) => text.trim(), () => undefined);
}

/** Removes data whose data folder was deleted or created again. */
async function removeAbandoned(outside: string): Promise<void> {
  for await (const { name } of Deno.readDir(outside)) {
    if (!name.startsWith("data-")) continue;
    const folder = join(outside, name);
    const home = await homeOf(folder);
    // Another process is creating it and has not written the owner file yet.
    if (home === undefined) continue;
    const pointer = await Deno.readTextFile(join(home, "postgres.path")).catch(() => "");
    const age = Date.now() - ((await Deno.lstat(folder).catch(() => undefined))?.mtime?.getTime() ?? 0);
    if (pointer.trim() === folder || age < GRACE_PERIOD_MS) continue;
    if (await postmasterPid(join(folder, "data")) === undefined) await removeFolder(folder);
  }
}
