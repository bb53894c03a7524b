import { PipelineError } from "../../workers/_shared/errors.ts";
import type { OsUser } from "./child.ts";

export function isRoot(): boolean {
  return Deno.uid() === 0;
}

/** If this process is root, PostgreSQL runs as this user. */
export async function unprivilegedUser(): Promise<OsUser> {
  for (const name of ["postgres", "nobody"]) {
    const uid = await id("-u", name);
    const gid = await id("-g", name);
    if (uid !== undefined && gid !== undefined && uid !== 0) return { name, uid, gid };
  }
  throw new PipelineError(
    "stack_failed",
    "Cannot start PostgreSQL: it refuses to run as root and there is neither a user postgres nor nobody; " +
      "run this as another user, or set DATABASE_URL to a server of your own",
  );
}

async function id(flag: string, name: string): Promise<number | undefined> {
  const { success, stdout } = await new Deno.Command("id", { args: [flag, name], stderr: "null" }).output();
  return success ? Number(new TextDecoder().decode(stdout)) : undefined;
}
