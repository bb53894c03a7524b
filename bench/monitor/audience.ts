import { Monitor, type MonitoredDatabase } from "../../lab/monitor.ts";
import { cpuSeconds } from "../lab/cpu_time.ts";
import { nameOf } from "../lab/fleet.ts";
import { sampleProcess } from "../lab/process_sample.ts";
import type { Sight, Viewers } from "./viewers.ts";

const PROGRAM = new URL("./viewers.ts", import.meta.url).pathname;
/** Different customers that are watched. The monitor allows 64. */
const WATCHED = 10;

/** What most people look at. A tenth has the ledger, a tenth the rejects, and a fifth one of ten customers. */
function pathOf(viewer: number): string {
  const kind = viewer % 10;
  if (kind === 0) return "/live/ledger";
  if (kind === 1) return "/live/rejects";
  if (kind > 3) return "/live/now";
  return `/live/customer?id=${nameOf(Math.floor(viewer / 5) % WATCHED)}&last=1h`;
}

export interface Sample {
  readonly atMs: number;
  readonly cpuSeconds: number;
  readonly residentMb: number;
  readonly queries: number;
}

/** A monitor with viewers, who read its event streams in a process of their own. */
export class Audience implements AsyncDisposable {
  readonly #monitor: Monitor;
  readonly #viewers: Deno.ChildProcess;
  readonly #output: Promise<string>;

  private constructor(monitor: Monitor, viewers: Deno.ChildProcess, output: Promise<string>) {
    this.#monitor = monitor;
    this.#viewers = viewers;
    this.#output = output;
  }

  /** Returns when all streams are open. */
  static async start(database: MonitoredDatabase, viewers: number): Promise<Audience> {
    const monitor = await Monitor.start(database);
    const answer = await fetch(await monitor.address(), { redirect: "manual" });
    await answer.body?.cancel();
    const cookie = answer.headers.get("set-cookie")?.split(";")[0] ?? "";
    const argument: Viewers = {
      origin: monitor.origin,
      cookie,
      paths: Array.from({ length: viewers }, (_, viewer) => pathOf(viewer)),
    };
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-q", "--no-prompt", "--allow-net=127.0.0.1", PROGRAM, JSON.stringify(argument)],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const opened = Promise.withResolvers<void>();
    const output = (async () => {
      let text = "";
      for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
        text += part;
        if (text.startsWith("open\n")) opened.resolve();
      }
      opened.reject(new Error("the viewers ended before all their streams were open"));
      return text.replace("open\n", "");
    })();
    const audience = new Audience(monitor, child, output);
    try {
      await opened.promise;
      return audience;
    } catch (error) {
      await audience[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Measures the monitor's process. */
  async sample(): Promise<Sample> {
    const { pid } = this.#monitor.worker;
    const [cpu, memory, queries] = await Promise.all([
      cpuSeconds(pid),
      sampleProcess(pid),
      this.#monitor.worker.metric("heartbeat_monitor_queries_total"),
    ]);
    return { atMs: Date.now(), cpuSeconds: cpu, residentMb: (memory?.peakKb ?? NaN) / 1024, queries };
  }

  /** Ends the viewers. @returns what each of them saw */
  async leave(): Promise<readonly Sight[]> {
    this.#viewers.kill("SIGTERM");
    return JSON.parse(await this.#output);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#viewers.kill("SIGKILL");
    } catch {
      // The viewers have ended.
    }
    await this.#viewers.status;
    await this.#monitor[Symbol.asyncDispose]();
  }
}
