/** A copy of the clone that may be broken. */
import { basename, dirname, join } from "node:path";
import { endOrphans } from "../../stack/process/child.ts";
import { CLONE, exists, removeFolder } from "../../stack/process/clone.ts";
import { installKafka } from "../../stack/kafka/kafka_jars.ts";
import { outsideFolder } from "../../stack/postgres/postgres_place.ts";

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
  await using undone = new AsyncDisposableStack();
  undone.defer(() => removeFolder(folder));
  undone.defer(() => removeFolder(outsideFolder(root)));
  await Deno.mkdir(temporary);
  undone.defer(() => endLeftoverServers(temporary));
  const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const { output } = await runProgram("git", args, { cwd: CLONE, signal: options.signal });
  for (const path of output.split("\0")) {
    // Deleted, and not committed yet.
    if (path === "" || !await exists(join(CLONE, path))) continue;
    await Deno.mkdir(dirname(join(root, path)), { recursive: true });
    await Deno.copyFile(join(CLONE, path), join(root, path));
  }
  await Deno.mkdir(join(root, ".stack"));
  await Deno.symlink(jars, join(root, ".stack", basename(jars)));
  const kept = undone.move();
  return { root, temporary, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** A test that fails keeps its servers' data, one that was killed even the servers. */
export async function endLeftoverServers(temporary: string): Promise<void> {
  for await (const { name } of Deno.readDir(temporary)) {
    // A test with a cluster has a folder in its folder for each of the two.
    for (const home of [name, join(name, "kafka"), join(name, "postgres")]) {
      const pids = join(temporary, home, "pids");
      if (await exists(pids)) await endOrphans(pids, ORPHAN_DEADLINE_MS);
    }
    await removeFolder(join(temporary, name));
  }
}

/** Runs a program to its end. @returns its exit code, and standard output and standard error together */
export async function runProgram(
  command: string,
  args: readonly string[],
  options: { cwd: string; env?: Readonly<Record<string, string>>; signal: AbortSignal },
): Promise<{ code: number; output: string }> {
  const { code, stdout, stderr } = await new Deno.Command(command, {
    ...options,
    args: [...args],
    env: { ...options.env },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}
