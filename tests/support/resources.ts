import { eventually } from "../../lab/eventually.ts";
import type { Place } from "../../lab/place.ts";
import type { WorkerProcess } from "../../lab/worker_process.ts";

/** The preload module for the worker that is measured. */
export const COUNTED = new URL("./preload/counted_resources.ts", import.meta.url).href;

export interface Held {
  readonly descriptors: number;
  readonly sockets: number;
  /** Number of sessions that PostgreSQL reports. */
  readonly databaseSessions: number;
  readonly timers: number;
  /** Number of listeners on the abort signal that has most. */
  readonly abortListeners: number;
}

/**
 * Works only on Linux.
 * @param worker the only consumer on the place's database, started with the preload module `COUNTED`
 */
export async function heldBy(worker: WorkerProcess, place: Place): Promise<Held> {
  const before = worker.events("test.resources").length;
  worker.kill("SIGUSR2");
  const told = await eventually(
    "the worker to log its resources",
    () => worker.events("test.resources")[before],
  );
  // Deno lets a program read /proc only with all permissions.
  const { stdout } = await new Deno.Command("ls", { args: ["-l", `/proc/${worker.pid}/fd`] }).output();
  const links = new TextDecoder().decode(stdout).split("\n").filter((line) => line.includes(" -> "));
  const [sessions] = await place.sql<{ count: string }>(
    "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'heartbeat-consumer'",
  );
  return {
    descriptors: links.length,
    sockets: links.filter((link) => link.includes(" -> socket:")).length,
    databaseSessions: Number(sessions?.count),
    timers: Number(told.timers),
    abortListeners: Number(told.abortListeners),
  };
}

/** Returns the peak resident memory in bytes. Without /proc, it returns the current resident memory. */
export async function peakMemory(worker: WorkerProcess): Promise<number> {
  const { stdout } = await new Deno.Command("cat", { args: [`/proc/${worker.pid}/status`] }).output();
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB/m.exec(new TextDecoder().decode(stdout)) ?? [];
  if (kilobytes !== undefined) return Number(kilobytes) * 1024;
  return await worker.metric("process_resident_memory_bytes");
}

export async function waitForRelease(before: Held, worker: WorkerProcess, place: Place): Promise<void> {
  let now: Held | undefined;
  await eventually("the worker to release its resources", async () => {
    now = await heldBy(worker, place);
    return (Object.keys(before) as (keyof Held)[]).every((what) =>
      (now?.[what] ?? Infinity) <= before[what] + TRANSIENT_RESOURCES
    );
  }, { seen: () => ({ before, now }) });
}

// A request in flight has a connection, a timer and a listener.
const TRANSIENT_RESOURCES = 4;
