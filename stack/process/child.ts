/**
 * Folder `process`: starts, watches, disturbs and stops child processes, even after their parent was killed. It knows no
 * program by name.
 *
 * The process id of a child is on disk while the child runs. If this process is killed, the next start finds the
 * child and ends it.
 */
import { join } from "node:path";
import { TextLineStream } from "./lines.ts";
import { commandLine, isRunning, sendSignal } from "./process_table.ts";
import { settlesWithin, waitFor } from "./wait.ts";

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
  /**
   * The start of a command line. It runs the command in the same process, but in another namespace and as another user.
   */
  readonly commandPrefix?: readonly string[] | undefined;
  readonly cwd?: string;
  /** This file contains the process id while the process runs. */
  readonly pidFile: string;
  /** The signal that asks the process to end. */
  readonly stopSignal: "SIGTERM" | "SIGINT";
  /** Called with each line of standard output and standard error. */
  readonly onLine: (line: string) => void;
}

/** Number of last lines that are kept to explain a failure. */
const TAIL_LINES = 12;
const KILL_DEADLINE_MS = 5_000;

export class Child {
  readonly pid: number;
  /** Settles when the process has ended and its output was read. */
  readonly exited: Promise<Deno.CommandStatus>;
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
      // The child gets a separate session. So Ctrl-C in a terminal reaches only this process, which then stops its
      // children in order.
      detached: Deno.build.os !== "windows",
      ...(env === undefined ? {} : { env: { ...env } }),
      ...(cwd === undefined ? {} : { cwd }),
      ...(user === undefined || commandPrefix.length > 0 ? {} : { uid: user.uid, gid: user.gid }),
    }).spawn();
    this.pid = child.pid;
    this.#stopSignal = stopSignal;
    // The arguments distinguish the child from a later process with the same id.
    Deno.writeTextFileSync(pidFile, `${child.pid}\n${args.join(" ")}\n${stopSignal}\n`);
    const killChild = () => sendSignal(child.pid, "SIGKILL");
    // Ends the child when this process exits. Only SIGKILL prevents this.
    globalThis.addEventListener("unload", killChild);
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
      globalThis.removeEventListener("unload", killChild);
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

  /** Sends the stop signal, and SIGKILL after the deadline. */
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
 * Ends the children that a killed parent left behind, the newest first.
 *
 * @param folder contains only pid files
 * @param deadlineMs time that each process has to stop before it gets SIGKILL
 * @returns name and process id of each child that was running; the name is that of the pid file without its ending
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
      // A frozen process handles the stop signal only after SIGCONT.
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
  // Windows adds quotes to a command line.
  const unquoted = (text: string) => text.replaceAll('"', "");
  const line = await commandLine(pid);
  return args !== "" && line !== undefined && unquoted(line).endsWith(` ${unquoted(args)}`);
}
