/** Where this clone keeps what it downloaded, and how that gets there in one piece. */
import { createHash } from "node:crypto";
import { join, resolve } from "node:path";

/** The root of the clone. */
export const CLONE = resolve(import.meta.dirname ?? ".", "..", "..");

/** Ignored by git; may be deleted whenever nothing runs. */
export const STACK_FOLDER = join(CLONE, ".stack");

/** A short name for a text, the same on every day. */
export function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}

/**
 * Makes a folder once, however many processes ask at the same time and wherever one of them is killed: it is filled
 * under another name and renamed when it is complete.
 *
 * @param folder absolute path; its parent must exist
 * @param fill puts the contents into the empty folder that it is given
 */
export async function installOnce(folder: string, fill: (empty: string) => Promise<void>): Promise<void> {
  if (await exists(folder)) return;
  using lock = await Deno.open(`${folder}.lock`, { create: true, write: true });
  // The operating system drops the lock when its holder dies.
  await lock.lock(true);
  if (await exists(folder)) return;
  const unfinished = `${folder}.unfinished`;
  await removeFolder(unfinished);
  await Deno.mkdir(unfinished);
  await fill(unfinished);
  await Deno.rename(unfinished, folder);
}

export async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

export async function removeFolder(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
