/** The stack in the background: started so that it outlives this program and its terminal, found again and ended. */
import { join, resolve } from "node:path";
import { ADDRESSES_FILE } from "../workers/_shared/running_servers.ts";
import { PipelineError, UsageError } from "../workers/_shared/errors.ts";
import { CLONE } from "./process/clone.ts";
import { ownerOf, takeHome } from "./home.ts";
import { sendSignal } from "./process/process_table.ts";
import { settlesWithin, waitFor } from "./process/wait.ts";

const PROGRAM = ["run", "-q", "--no-prompt", "-P=stack", join(CLONE, "stack", "main.ts")];
const LOOK_EVERY_MS = 100;
/** Longer than a program takes to end itself after a signal. */
const STOP_WITHIN_MS = 20_000;

export interface DetachOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (text: string) => void;
}

/**
 * Starts `stack` with these arguments and waits until its servers answer, or until the signal, which ends it. There is no
 * deadline, because the jars may have to be fetched before.
 *
 * @returns the text of the addresses' file
 * @throws PipelineError when it ends before; what it said was told as progress
 */
export async function startDetached(
  home: string,
  args: readonly string[],
  { signal, onProgress }: DetachOptions,
): Promise<string> {
  if (Deno.build.os === "windows") {
    throw new UsageError("Cannot detach on Windows: start `deno task stack` in a terminal of its own");
  }
  const folder = resolve(home);
  // Only to make the folder and to see that it is free: the program in the background takes it for itself.
  (await takeHome(folder))[Symbol.dispose]();
  const logPath = join(folder, "stack.log");
  await Deno.writeTextFile(logPath, "", { mode: 0o600 });
  const child = new Deno.Command("sh", {
    // A shell, because Deno cannot give a child a file to write to.
    args: [
      "-c",
      'log=$1; shift; exec "$@" 2> "$log"',
      "stack",
      logPath,
      Deno.execPath(),
      ...PROGRAM,
      ...args,
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
    // A session of its own, which outlives the terminal.
    detached: true,
  }).spawn();
  let told = 0;
  const tell = async () => {
    const lines = (await Deno.readTextFile(logPath)).split("\n").slice(0, -1);
    for (const line of lines.slice(told)) onProgress(line);
    told = lines.length;
  };
  const stop = () => sendSignal(child.pid, "SIGTERM");
  signal.addEventListener("abort", stop, { once: true });
  for (;;) {
    const over = await settlesWithin(child.status, LOOK_EVERY_MS);
    await tell();
    const text = await Deno.readTextFile(join(folder, ADDRESSES_FILE)).catch(() => "");
    if (over) {
      throw new PipelineError("stack_failed", "Cannot start the servers in the background, see above");
    }
    // Complete, since its last line is there, and not of a run before.
    if (!signal.aborted && text.includes(`process ${child.pid};`) && /^DATABASE_URL=.+\n/m.test(text)) {
      signal.removeEventListener("abort", stop);
      child.unref();
      return text;
    }
  }
}

/**
 * Ends what runs on a data folder.
 *
 * @returns false when nothing runs there
 * @throws PipelineError when it does not end
 */
export async function stopDetached(home: string): Promise<boolean> {
  const pid = await ownerOf(home);
  if (pid === undefined) return false;
  sendSignal(pid, "SIGTERM");
  if (await waitFor(async () => await ownerOf(home) !== pid, STOP_WITHIN_MS)) return true;
  throw new PipelineError(
    "stack_failed",
    `Cannot stop process ${pid}: it still runs after ${
      STOP_WITHIN_MS / 1000
    } s, expected it to end; kill it with -9`,
  );
}
