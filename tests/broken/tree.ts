import { basename, dirname, join } from "node:path";
import { endOrphans } from "../../stack/process/child.ts";
import { CLONE, exists, removeFolder } from "../../stack/process/clone.ts";
import { installKafka } from "../../stack/kafka/kafka_jars.ts";
import { postgresFolderOf } from "../../stack/postgres/postgres_place.ts";

/** Deadline for each server that a killed test left running. */
const ORPHAN_DEADLINE_MS = 10_000;

/** A copy of the clone in a temporary folder, deleted on disposal. */
export interface Tree extends AsyncDisposable {
  readonly root: string;
  /** The `TMPDIR` of the tests that run in the copy. */
  readonly temporary: string;
}

/**
 * Copies all files of the working tree that git tracks or would track. The copy shares Kafka's jars with the clone, so
 * nothing is downloaded.
 */
export async function copyTree(
  env: { readonly JAVA_HOME?: string | undefined },
  options: { signal: AbortSignal; onProgress: (text: string) => void },
): Promise<Tree> {
  const { jars } = await installKafka(env, options);
  // The temporary folder can be below a symbolic link (as on macOS), and the copied programs see their resolved path.
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "heartbeat-broken-" }));
  const root = join(folder, "tree");
  const temporary = join(folder, "tmp");
  await using cleanUp = new AsyncDisposableStack();
  cleanUp.defer(() => removeFolder(folder));
  cleanUp.defer(() => removeFolder(postgresFolderOf(root)));
  await Deno.mkdir(temporary);
  cleanUp.defer(() => endLeftoverServers(temporary));
  const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const { output } = await runProgram("git", args, { cwd: CLONE, signal: options.signal });
  for (const path of output.split("\0")) {
    // git still lists a file that was deleted and not committed.
    if (path === "" || !await exists(join(CLONE, path))) continue;
    await Deno.mkdir(dirname(join(root, path)), { recursive: true });
    await Deno.copyFile(join(CLONE, path), join(root, path));
  }
  await Deno.mkdir(join(root, ".stack"));
  await Deno.symlink(jars, join(root, ".stack", basename(jars)));
  const cleanUpLater = cleanUp.move();
  return { root, temporary, [Symbol.asyncDispose]: () => cleanUpLater.disposeAsync() };
}

/** Ends servers that a killed test left running, and deletes the data that a failed test kept. */
export async function endLeftoverServers(temporary: string): Promise<void> {
  for await (const { name } of Deno.readDir(temporary)) {
    // A test with a cluster has two data folders.
    for (const home of [name, join(name, "kafka"), join(name, "postgres")]) {
      const pids = join(temporary, home, "pids");
      if (await exists(pids)) await endOrphans(pids, ORPHAN_DEADLINE_MS);
    }
    await removeFolder(join(temporary, name));
  }
}

/** @returns the exit code, and standard output followed by standard error */
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
