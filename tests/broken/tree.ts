/** A copy of the clone that may be broken. */
import { basename, dirname, join } from "node:path";
import { endOrphans } from "../../stack/child.ts";
import { CLONE, exists, removeFolder } from "../../stack/clone.ts";
import { installKafka } from "../../stack/kafka_jars.ts";
import { outsideFolder } from "../../stack/postgres_place.ts";
import { runProgram } from "./run_program.ts";

/** For each of the servers that a test left behind. */
const ORPHAN_DEADLINE_MS = 10_000;

export interface Tree extends AsyncDisposable {
  /** Absolute path of the copy. */
  readonly root: string;
  /** Where its tests keep temporary files; goes away with it. */
  readonly temporary: string;
}

/**
 * Copies every file that git knows of, as it is in the working tree, to a temporary folder. Kafka's jars are shared with
 * the clone, so that nothing is fetched; PostgreSQL's programs come from Deno's cache, as everywhere.
 */
export async function copyTree(
  env: { readonly JAVA_HOME?: string | undefined },
  options: { signal: AbortSignal; onProgress: (text: string) => void },
): Promise<Tree> {
  const { jars } = await installKafka(env, options);
  // Resolved, since a clone below a symbolic link has another name for those who run in it.
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "heartbeat-broken-" }));
  const root = join(folder, "tree");
  const temporary = join(folder, "tmp");
  try {
    await fillTree(root, jars, options.signal);
  } catch (error) {
    await removeFolder(folder);
    throw error;
  }
  await Deno.mkdir(temporary);
  return {
    root,
    temporary,
    [Symbol.asyncDispose]: async () => {
      await endLeftServers(temporary);
      await removeFolder(outsideFolder(root));
      await removeFolder(folder);
    },
  };
}

async function fillTree(root: string, jars: string, signal: AbortSignal): Promise<void> {
  const listed = await runProgram("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: CLONE,
    signal,
  });
  if (listed.code !== 0) throw new Error(`Cannot list the files of ${CLONE}: ${listed.output.trim()}`);
  for (const path of listed.output.split("\0")) {
    // Deleted, and not committed yet.
    if (path === "" || !await exists(join(CLONE, path))) continue;
    await Deno.mkdir(dirname(join(root, path)), { recursive: true });
    await Deno.copyFile(join(CLONE, path), join(root, path));
  }
  await Deno.mkdir(join(root, ".stack"));
  await Deno.symlink(jars, join(root, ".stack", basename(jars)));
}

/** A test that fails keeps its servers' data, one that was killed even the servers. */
export async function endLeftServers(temporary: string): Promise<void> {
  for await (const { name } of Deno.readDir(temporary)) {
    // A test with a cluster has a folder in its folder for each of the two.
    for (const home of [name, join(name, "kafka"), join(name, "postgres")]) {
      const pids = join(temporary, home, "pids");
      if (await exists(pids)) await endOrphans(pids, ORPHAN_DEADLINE_MS);
    }
    await removeFolder(join(temporary, name));
  }
}
