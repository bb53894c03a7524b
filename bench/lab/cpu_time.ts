import { PipelineError } from "../../workers/_shared/errors.ts";

/** Indices of the fields after the program's name in /proc/<pid>/stat: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
const PARENT = 1;
const USER_TIME = 11;
/** User and system time of the process, then of its children that have ended and were waited for. */
const TIME_FIELDS = 4;
const TICKS_PER_SECOND = 100;

interface Process {
  readonly parent: number;
  readonly seconds: number;
  /** The part of `seconds` that ended children took. */
  readonly childSeconds: number;
}

/** @returns CPU seconds of the process and its descendants since it started; 0 if there is no such process */
export async function cpuSeconds(pid: number): Promise<number> {
  const processes = await readProcesses();
  let seconds = 0;
  for (const [id, { seconds: own }] of processes) {
    if (descendsFrom(id, pid, processes)) seconds += own;
  }
  return seconds;
}

/** @returns CPU seconds of the children of this process that have ended, with their own ended children */
export async function endedCpuSeconds(): Promise<number> {
  return (await readProcesses()).get(Deno.pid)?.childSeconds ?? 0;
}

async function readProcesses(): Promise<Map<number, Process>> {
  if (Deno.build.os !== "linux") {
    throw new PipelineError(
      "stack_failed",
      "Cannot measure CPU time: this is not Linux, expected /proc",
    );
  }
  // Deno allows reading below /proc only with all permissions.
  const { stdout } = await new Deno.Command("sh", {
    args: ["-c", "cat /proc/[0-9]*/stat"],
    stdin: "null",
    // Processes end while the shell lists them.
    stderr: "null",
  }).output();
  const processes = new Map<number, Process>();
  for (const line of new TextDecoder().decode(stdout).split("\n")) {
    // The name may contain spaces and parentheses.
    const match = /^(\d+) \(.*\) (.*)$/.exec(line);
    if (match === null) continue;
    const fields = (match[2] ?? "").split(" ").map(Number);
    const [user = 0, system = 0, childUser = 0, childSystem = 0] = fields.slice(
      USER_TIME,
      USER_TIME + TIME_FIELDS,
    );
    const childSeconds = (childUser + childSystem) / TICKS_PER_SECOND;
    processes.set(Number(match[1]), {
      parent: fields[PARENT] ?? 0,
      seconds: (user + system) / TICKS_PER_SECOND + childSeconds,
      childSeconds,
    });
  }
  return processes;
}

function descendsFrom(id: number, ancestor: number, processes: ReadonlyMap<number, Process>): boolean {
  for (let at: number | undefined = id; at !== undefined && at > 0; at = processes.get(at)?.parent) {
    if (at === ancestor) return true;
  }
  return false;
}
