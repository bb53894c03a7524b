import { PipelineError } from "../../workers/_shared/errors.ts";

export interface ProcessSample {
  readonly residentKb: number;
  /** Peak since the start of the process. */
  readonly peakKb: number;
  readonly threads: number;
  readonly descriptors: number;
  readonly sockets: number;
}

/** A shell does this, because Deno allows reading below /proc only with all permissions. */
const SCRIPT = 'cat "/proc/$1/status" && ls -l "/proc/$1/fd"';

/** @returns undefined if there is no such process */
export async function sampleProcess(pid: number): Promise<ProcessSample | undefined> {
  if (Deno.build.os !== "linux") {
    throw new PipelineError("stack_failed", "Cannot measure memory: this is not Linux, expected /proc");
  }
  const { success, stdout } = await new Deno.Command("sh", {
    args: ["-c", SCRIPT, "sample", String(pid)],
    stdin: "null",
    stderr: "null",
  }).output();
  const text = new TextDecoder().decode(stdout);
  const value = (name: string) => Number(text.match(new RegExp(`^${name}:\\s+(\\d+)`, "m"))?.[1]);
  // A zombie process has no memory, so these lines are missing.
  if (!success || Number.isNaN(value("VmRSS"))) return undefined;
  return {
    residentKb: value("VmRSS"),
    peakKb: value("VmHWM"),
    threads: value("Threads"),
    descriptors: text.match(/ -> /g)?.length ?? 0,
    sockets: text.match(/ -> socket:/g)?.length ?? 0,
  };
}
