import { join, resolve } from "node:path";
import { ADDRESSES_FILE } from "../workers/_shared/running_servers.ts";
import { PipelineError, UsageError } from "../workers/_shared/errors.ts";
import { CLONE } from "./process/clone.ts";
import { ownerOf, takeHome } from "./home.ts";
import { sendSignal } from "./process/process_table.ts";
import { settlesWithin, waitFor } from "./process/wait.ts";

const PROGRAM = ["run", "-q", "--no-prompt", "-P=stack", join(CLONE, "stack", "main.ts")];
const LOOK_EVERY_MS = 100;
/** Longer than a program needs to stop itself after a signal. */
const STOP_WITHIN_MS = 20_000;

export interface DetachOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (text: string) => void;
}

/**
 * Starts `stack` in the background and waits until the servers answer. `stack` outlives this program and its terminal.
 * There is no deadline, because the first start downloads Kafka. An abort of the signal ends `stack`.
 *
 * @returns the text of the addresses file
 * @throws PipelineError if `stack` ends before the servers answer; its output was reported as progress
 */
export async function startDetached(
  home: string,
  args: readonly string[],
  { signal, onProgress }: DetachOptions,
): Promise<string> {
  if (Deno.build.os === "windows") {
    throw new UsageError("Cannot detach on Windows: start `deno task stack` in a terminal and leave it open");
  }
  const folder = resolve(home);
  // This only creates the folder and checks that it is free. The program in the background locks it again.
  (await takeHome(folder))[Symbol.dispose]();
  const logPath = join(folder, "stack.log");
  await Deno.writeTextFile(logPath, "", { mode: 0o600 });
  // A shell starts it, because Deno cannot redirect the output of a child to a file.
  const child = new Deno.Command("sh", {
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
    // A separate session outlives the terminal.
    detached: true,
  }).spawn();
  let reported = 0;
  const reportNewLines = async () => {
    const lines = (await Deno.readTextFile(logPath)).split("\n").slice(0, -1);
    for (const line of lines.slice(reported)) onProgress(line);
    reported = lines.length;
  };
  const stop = () => sendSignal(child.pid, "SIGTERM");
  signal.addEventListener("abort", stop, { once: true });
  for (;;) {
    const ended = await settlesWithin(child.status, LOOK_EVERY_MS);
    await reportNewLines();
    const text = await Deno.readTextFile(join(folder, ADDRESSES_FILE)).catch(() => "");
    if (ended) {
      throw new PipelineError("stack_failed", "Cannot start the servers in the background, see above");
    }
    // The file is from this run. It is complete, because READER_DATABASE_URL is its last line.
    if (
      !signal.aborted && text.includes(`process ${child.pid};`) && /^READER_DATABASE_URL=.+\n/m.test(text)
    ) {
      signal.removeEventListener("abort", stop);
      child.unref();
      return text;
    }
  }
}

/**
 * @returns false if no program uses the data folder
 * @throws PipelineError if the program does not end
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
