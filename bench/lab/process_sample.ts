/** What a process takes, as Linux tells it. */
import { PipelineError } from "../../workers/_shared/errors.ts";

export interface ProcessSample {
  /** Resident memory now. */
  readonly residentKb: number;
  /** The most that was ever resident, which no sampling misses. */
  readonly peakKb: number;
  readonly threads: number;
  readonly descriptors: number;
  /** Of the descriptors, those that are sockets: connections, and the health port. */
  readonly sockets: number;
}

/** Asked of other programs: Deno lets nobody look below /proc who has not all permissions. */
const SCRIPT = 'cat "/proc/$1/status" && ls -l "/proc/$1/fd"';

/** @returns undefined when there is no such process (any more) */
export async function sampleProcess(pid: number): Promise<ProcessSample | undefined> {
  if (Deno.build.os !== "linux") {
    throw new PipelineError("stack_failed", "Cannot measure memory: this is no Linux, expected its /proc");
  }
  const { success, stdout } = await new Deno.Command("sh", {
    args: ["-c", SCRIPT, "sample", String(pid)],
    stdin: "null",
    stderr: "null",
  }).output();
  const text = new TextDecoder().decode(stdout);
  const value = (name: string) => Number(text.match(new RegExp(`^${name}:\\s+(\\d+)`, "m"))?.[1]);
  // A zombie has no memory, hence no such lines.
  if (!success || Number.isNaN(value("VmRSS"))) return undefined;
  return {
    residentKb: value("VmRSS"),
    peakKb: value("VmHWM"),
    threads: value("Threads"),
    descriptors: text.match(/ -> /g)?.length ?? 0,
    sockets: text.match(/ -> socket:/g)?.length ?? 0,
  };
}
