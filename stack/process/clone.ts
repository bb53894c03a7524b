import { createHash } from "node:crypto";
import { join, resolve } from "node:path";

export const CLONE = resolve(import.meta.dirname ?? ".", "..", "..");

/** Git ignores it. It may be deleted while no server runs. */
export const STACK_FOLDER = join(CLONE, ".stack");

export function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}

/**
 * Creates a folder once, even if several processes call this at the same time or are killed meanwhile. The folder gets
 * its name only when it is complete.
 *
 * @param folder absolute path; its parent exists
 * @param fill puts the contents into the given empty folder
 */
export async function installOnce(folder: string, fill: (empty: string) => Promise<void>): Promise<void> {
  if (await exists(folder)) return;
  using lock = await Deno.open(`${folder}.lock`, { create: true, write: true });
  // The operating system releases the lock when the process dies.
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
