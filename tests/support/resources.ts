/** What a running consumer holds of things that are easily forgotten; on Linux, where /proc tells. */
import { eventually } from "../../lab/eventually.ts";
import type { Place } from "../../lab/place.ts";
import type { WorkerProcess } from "../../lab/worker_process.ts";

/** For the start of the worker that is to be measured. */
export const COUNTED = new URL("./preload/counted_resources.ts", import.meta.url).href;

export interface Held {
  readonly descriptors: number;
  readonly sockets: number;
  /** As PostgreSQL counts them. */
  readonly databaseSessions: number;
  readonly timers: number;
  /** Listeners on the abort signal that has most of them. */
  readonly abortListeners: number;
}

/** @param worker started with `COUNTED`; the only consumer on the place's database */
export async function heldBy(worker: WorkerProcess, place: Place): Promise<Held> {
  const said = worker.events("test.resources").length;
  worker.kill("SIGUSR2");
  const told = await eventually("its own count", () => worker.events("test.resources")[said]);
  // Deno itself opens /proc to programs only that may do everything.
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

/** The most memory that it ever had, which no sampling misses; where no /proc tells, what it has now. Bytes. */
export async function peakMemory(worker: WorkerProcess): Promise<number> {
  const { stdout } = await new Deno.Command("cat", { args: [`/proc/${worker.pid}/status`] }).output();
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB/m.exec(new TextDecoder().decode(stdout)) ?? [];
  if (kilobytes !== undefined) return Number(kilobytes) * 1024;
  return await worker.metric("process_resident_memory_bytes");
}

/** Waits until nothing is above what there was before, but for a few that come and go. */
export async function waitForRelease(before: Held, worker: WorkerProcess, place: Place): Promise<void> {
  let now: Held | undefined;
  await eventually("its resources to be as before", async () => {
    now = await heldBy(worker, place);
    return (Object.keys(before) as (keyof Held)[]).every((what) =>
      (now?.[what] ?? Infinity) <= before[what] + TRANSIENT_RESOURCES
    );
  }, { seen: () => ({ before, now }) });
}

/** A question that is under way has a connection, a timer and a listener of its own. */
const TRANSIENT_RESOURCES = 4;
