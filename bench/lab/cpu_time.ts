/** Processor time of a process and all that it started, as Linux tells it. */
import { PipelineError } from "../../workers/_shared/errors.ts";

/** Fields of /proc/<pid>/stat behind the name, https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
const PARENT = 1;
const USER_TIME = 11;
/** User and system time of the process, then those of its children that ended and were waited for. */
const TIMES = 4;
const TICKS_A_SECOND = 100;

interface Process {
  readonly parent: number;
  readonly seconds: number;
  /** Of `seconds`, what its children took that ended. */
  readonly childSeconds: number;
}

/** @returns seconds since the process began, of itself and of its descendants; 0 when there is no such process */
export async function cpuSeconds(pid: number): Promise<number> {
  const processes = await readProcesses();
  let seconds = 0;
  for (const [id, { seconds: own }] of processes) {
    if (descendsFrom(id, pid, processes)) seconds += own;
  }
  return seconds;
}

/** @returns seconds that the children of this process took which have ended, and their own such children */
export async function endedCpuSeconds(): Promise<number> {
  return (await readProcesses()).get(Deno.pid)?.childSeconds ?? 0;
}

async function readProcesses(): Promise<Map<number, Process>> {
  if (Deno.build.os !== "linux") {
    throw new PipelineError(
      "stack_failed",
      "Cannot measure processor time: this is no Linux, expected its /proc",
    );
  }
  // Asked of another program: Deno lets nobody look below /proc who has not all permissions.
  const { stdout } = await new Deno.Command("sh", {
    args: ["-c", "cat /proc/[0-9]*/stat"],
    stdin: "null",
    // Processes end while they are being listed.
    stderr: "null",
  }).output();
  const processes = new Map<number, Process>();
  for (const line of new TextDecoder().decode(stdout).split("\n")) {
    // The name, in parentheses, may hold anything.
    const match = /^(\d+) \(.*\) (.*)$/.exec(line);
    if (match === null) continue;
    const fields = (match[2] ?? "").split(" ").map(Number);
    const [user = 0, system = 0, childUser = 0, childSystem = 0] = fields.slice(USER_TIME, USER_TIME + TIMES);
    const childSeconds = (childUser + childSystem) / TICKS_A_SECOND;
    processes.set(Number(match[1]), {
      parent: fields[PARENT] ?? 0,
      seconds: (user + system) / TICKS_A_SECOND + childSeconds,
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
