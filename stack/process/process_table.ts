/** What the operating system knows of processes that are not (or no longer) our children. */

/** Whether a process of this id exists; a zombie that nobody has waited for yet counts as gone. */
export async function isRunning(pid: number): Promise<boolean> {
  return await commandLine(pid) !== undefined;
}

/** The arguments of a process, separated by spaces; undefined when there is none of this id. */
export async function commandLine(pid: number): Promise<string | undefined> {
  const text = Deno.build.os === "linux"
    // Slim images have no `ps`, but every Linux has this. It is empty for zombies. Read by another program, because
    // Deno lets nobody look there who has not all permissions.
    ? await output("cat", [`/proc/${pid}/cmdline`])
    : Deno.build.os === "windows"
    ? await output("powershell", [
      "-NoProfile",
      "-Command",
      `(Get-CimInstance Win32_Process -Filter "ProcessId=${pid}").CommandLine`,
    ])
    : await output("ps", ["-ww", "-o", "command=", "-p", String(pid)]);
  const line = text.replaceAll("\0", " ").trim();
  return line === "" ? undefined : line;
}

/** The direct children of a process. */
export async function childrenOf(pid: number): Promise<number[]> {
  const text = Deno.build.os === "linux"
    ? await output("cat", [`/proc/${pid}/task/${pid}/children`])
    : await output("pgrep", ["-P", String(pid)]);
  return text.split(/\s+/).filter((one) => one !== "").map(Number);
}

/** The parent of a process; undefined when there is no such process. Not on Windows. */
export async function parentOf(pid: number): Promise<number | undefined> {
  const text = Deno.build.os === "linux"
    // The name of the program stands in brackets and may hold anything; its state and its parent follow.
    ? (await output("cat", [`/proc/${pid}/stat`])).replace(/^.*\)\s+\S+\s+(\d+)\s[^]*$/, "$1")
    : await output("ps", ["-o", "ppid=", "-p", String(pid)]);
  return text.trim() === "" ? undefined : Number(text);
}

/** Sends a signal; a process that is already gone is no error. */
export function sendSignal(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    // ESRCH arrives as NotFound, and as a TypeError once Deno itself has seen the child's end.
    if (!(error instanceof Deno.errors.NotFound || error instanceof TypeError)) throw error;
  }
}

async function output(command: string, args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command(command, { args, stdin: "null", stderr: "null" }).output();
  return new TextDecoder().decode(stdout);
}
