/** A zombie process does not count as running. */
export async function isRunning(pid: number): Promise<boolean> {
  return await commandLine(pid) !== undefined;
}

/** @returns the arguments separated by spaces, or undefined if there is no such process */
export async function commandLine(pid: number): Promise<string | undefined> {
  const text = Deno.build.os === "linux"
    // Slim images lack `ps`. For a zombie, the file is empty. `cat` reads it, because Deno allows reading /proc only with
    // all permissions.
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

export async function childrenOf(pid: number): Promise<number[]> {
  const text = Deno.build.os === "linux"
    ? await output("cat", [`/proc/${pid}/task/${pid}/children`])
    : await output("pgrep", ["-P", String(pid)]);
  return text.split(/\s+/).filter((word) => word !== "").map(Number);
}

/** Does not work on Windows. */
export async function parentOf(pid: number): Promise<number | undefined> {
  const text = Deno.build.os === "linux"
    // The program's name is in brackets and may contain anything. Its state and its parent follow.
    ? (await output("cat", [`/proc/${pid}/stat`])).replace(/^.*\)\s+\S+\s+(\d+)\s[^]*$/, "$1")
    : await output("ps", ["-o", "ppid=", "-p", String(pid)]);
  return text.trim() === "" ? undefined : Number(text);
}

/** Does nothing if the process has ended. */
export function sendSignal(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    // ESRCH is a NotFound, or a TypeError if Deno has already seen the end of the child.
    if (!(error instanceof Deno.errors.NotFound || error instanceof TypeError)) throw error;
  }
}

async function output(command: string, args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command(command, { args, stdin: "null", stderr: "null" }).output();
  return new TextDecoder().decode(stdout);
}
