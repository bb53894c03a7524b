/**
 * Folder `process`: child processes, started, watched, disturbed and ended even after a crash of their parent. It knows no
 * program by name.
 *
 * A child process that leaves a trace: its id is on disk while it runs, so that the next start finds and ends it when
 * this process was killed before it could.
 */
import { join } from "node:path";
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
  /** The beginning of a command line that runs the command in another place, in the same process and as whom it says. */
  readonly commandPrefix?: readonly string[] | undefined;
  readonly cwd?: string;
  /** Where the id is kept while the process runs. */
  readonly pidFile: string;
  /** What asks the process to end. */
  readonly stopSignal: "SIGTERM" | "SIGINT";
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
  readonly #stopSignal: Deno.Signal;
  #running = true;

  constructor(options: ChildOptions) {
    const { command, args, user, commandPrefix = [], env, cwd, pidFile, stopSignal } = options;
    const [program = command, ...rest] = [...commandPrefix, command, ...args];
    const child = new Deno.Command(program, {
      args: rest,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      // A session of its own: Ctrl-C in a terminal goes to the foreground group and must reach only us, because we
      // know the order in which things end.
      detached: Deno.build.os !== "windows",
      ...(env === undefined ? {} : { env: { ...env } }),
      ...(cwd === undefined ? {} : { cwd }),
      ...(user === undefined || commandPrefix.length > 0 ? {} : { uid: user.uid, gid: user.gid }),
    }).spawn();
    this.pid = child.pid;
    this.#stopSignal = stopSignal;
    // The arguments tell our process from a later one that happens to get the same id.
    Deno.writeTextFileSync(pidFile, `${child.pid}\n${args.join(" ")}\n${stopSignal}\n`);
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
  async stop(deadlineMs: number): Promise<void> {
    this.signal(this.#stopSignal);
    if (await settlesWithin(this.exited, deadlineMs)) return;
    await this.kill();
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.exited;
  }
}

/**
 * Ends the processes that an earlier, killed run left behind, those first that were started last.
 *
 * @param folder holds the files that keep the ids, and nothing else
 * @param deadlineMs what each gets to end by itself
 * @returns the names (of the files, without their ending) and ids of those that were still running
 */
export async function endOrphans(
  folder: string,
  deadlineMs: number,
): Promise<{ readonly name: string; readonly pid: number }[]> {
  const files: { path: string; name: string; at: number }[] = [];
  for await (const { name } of Deno.readDir(folder)) {
    const path = join(folder, name);
    files.push({ path, name: name.replace(/\.pid$/, ""), at: (await Deno.stat(path)).mtime?.getTime() ?? 0 });
  }
  const ended: { name: string; pid: number }[] = [];
  for (const { path, name } of files.sort((a, b) => b.at - a.at)) {
    const [id = "", args = "", signal = ""] = (await Deno.readTextFile(path)).split("\n");
    const pid = Number(id);
    if (Number.isInteger(pid) && pid > 1 && await hasArguments(pid, args)) {
      sendSignal(pid, "SIGCONT");
      sendSignal(pid, signal === "SIGINT" ? "SIGINT" : "SIGTERM");
      const gone = async () => !await isRunning(pid);
      if (!await waitFor(gone, deadlineMs)) {
        sendSignal(pid, "SIGKILL");
        await waitFor(gone, KILL_DEADLINE_MS);
      }
      ended.push({ name, pid });
    }
    await Deno.remove(path).catch(() => {});
  }
  return ended;
}

async function hasArguments(pid: number, args: string): Promise<boolean> {
  // Windows quotes arguments as it likes.
  const unquoted = (text: string) => text.replaceAll('"', "");
  const line = await commandLine(pid);
  return args !== "" && line !== undefined && unquoted(line).endsWith(` ${unquoted(args)}`);
}
