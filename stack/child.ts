/**
 * A child process that leaves a trace: its id is on disk while it runs, so that the next start finds and ends it when
 * this process was killed before it could.
 */
import { TextLineStream } from "./lines.ts";
import { commandLine, isRunning, sendSignal } from "./process_table.ts";
import { settlesWithin, waitFor } from "./wait.ts";

/** A user of the operating system to run as. */
export interface OsUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export interface ChildOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: OsUser | undefined;
  readonly cwd?: string;
  /** Where the id is kept while the process runs. */
  readonly pidFile: string;
  /** Each line that the process writes to standard output or standard error. */
  readonly onLine: (line: string) => void;
}

/** How many of the last lines are kept to explain a failure. */
const TAIL_LINES = 12;
const KILL_DEADLINE_MS = 5_000;

export class Child {
  readonly pid: number;
  /** Settles when the process is gone and its output was read. */
  readonly exited: Promise<Deno.CommandStatus>;
  /** The newest lines of output. */
  readonly tail: string[] = [];
  #running = true;

  constructor(options: ChildOptions) {
    const { command, args, user, env, cwd, pidFile } = options;
    const child = new Deno.Command(command, {
      args: [...args],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      // A session of its own: Ctrl-C in a terminal goes to the foreground group and must reach only us, because we
      // know the order in which things end.
      detached: Deno.build.os !== "windows",
      ...(env === undefined ? {} : { env: { ...env } }),
      ...(cwd === undefined ? {} : { cwd }),
      ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
    }).spawn();
    this.pid = child.pid;
    // The command line tells our process from a later one that happens to get the same id.
    Deno.writeTextFileSync(pidFile, `${child.pid}\n${[command, ...args].join(" ")}\n`);
    // Whatever way this process ends short of SIGKILL, it leaves no child behind.
    const last = () => sendSignal(child.pid, "SIGKILL");
    globalThis.addEventListener("unload", last);
    const read = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
      const lines = stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
      for await (const line of lines) {
        this.tail.push(line);
        if (this.tail.length > TAIL_LINES) this.tail.shift();
        options.onLine(line);
      }
    };
    this.exited = (async () => {
      const [status] = await Promise.all([child.status, read(child.stdout), read(child.stderr)]);
      this.#running = false;
      globalThis.removeEventListener("unload", last);
      await Deno.remove(pidFile).catch(() => {});
      return status;
    })();
  }

  get running(): boolean {
    return this.#running;
  }

  signal(signal: Deno.Signal): void {
    if (this.#running) sendSignal(this.pid, signal);
  }

  /** Asks the process to end and, when it has not after the deadline, ends it. */
  async stop(signal: Deno.Signal, deadlineMs: number): Promise<void> {
    this.signal(signal);
    if (await settlesWithin(this.exited, deadlineMs)) return;
    await this.kill();
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.exited;
  }
}

/** Ends the process that an earlier, killed run left behind, if it still runs. Returns its id when there was one. */
export async function endOrphan(
  pidFile: string,
  signal: Deno.Signal,
  deadlineMs: number,
): Promise<number | undefined> {
  const text = await Deno.readTextFile(pidFile).catch(() => undefined);
  if (text === undefined) return undefined;
  const [first = "", command = ""] = text.split("\n");
  const pid = Number(first);
  // Windows quotes arguments as it likes.
  const unquoted = (line: string | undefined) => line?.replaceAll('"', "");
  const ours = Number.isInteger(pid) && pid > 1 && command !== "" &&
    unquoted(await commandLine(pid)) === unquoted(command);
  if (ours) {
    sendSignal(pid, "SIGCONT");
    sendSignal(pid, signal);
    const gone = async () => !await isRunning(pid);
    if (!await waitFor(gone, deadlineMs)) {
      sendSignal(pid, "SIGKILL");
      await waitFor(gone, KILL_DEADLINE_MS);
    }
  }
  await Deno.remove(pidFile).catch(() => {});
  return ours ? pid : undefined;
}
