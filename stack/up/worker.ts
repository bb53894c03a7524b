import { join } from "node:path";
import { Child } from "../process/child.ts";
import { CLONE } from "../process/clone.ts";
import type { Restartable } from "../process/keep_running.ts";
import { taskArguments } from "../worker_task.ts";
import { EXIT } from "../../workers/_shared/lifecycle.ts";
import { PipelineError, UsageError } from "../../workers/_shared/errors.ts";
import { type LogLine, parseLogLine } from "./worker_log.ts";

/** A worker needs a fraction of a second to stop. All resources together have 10 s to close. */
const STOP_DEADLINE_MS = 3_000;

/** `up` reads events of level info, such as the address of the page, whatever level the user has set. */
const READABLE = { LOG_FORMAT: "json", LOG_LEVEL: "info" };

export interface WorkerOptions {
  readonly name: "consumer" | "producer" | "monitor";
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Absolute path of the data folder. */
  readonly home: string;
  readonly pidFile: string;
  /** An event of the log. If the worker fails before it, the database refuses the worker, and a restart is pointless. */
  readonly acceptedAt?: string;
  readonly onLine: (line: LogLine) => void;
}

export class Worker implements Restartable, AsyncDisposable {
  readonly name: string;
  readonly logPath: string;
  healthPort: number | undefined;
  readonly #options: WorkerOptions;
  #child: Child;
  #accepted = false;
  /** A restarted monitor takes the same port, so that open pages and bookmarks find it. */
  #pagePort: Readonly<Record<string, string>> = {};

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.name = `The ${options.name}`;
    const folder = join(options.home, "workers");
    Deno.mkdirSync(folder, { recursive: true });
    // Logs of the consumer can have records, and the monitor's log has the address that opens it.
    if (Deno.build.os !== "windows") Deno.chmodSync(folder, 0o700);
    this.logPath = join(folder, `${options.name}.log`);
    this.#child = this.#spawn();
  }

  get pid(): number {
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#child.running;
  }

  get exited(): Promise<Deno.CommandStatus> {
    return this.#child.exited;
  }

  start(): Promise<void> {
    if (!this.#child.running) this.#child = this.#spawn();
    return Promise.resolve();
  }

  /** A restart cannot correct wrong settings, or a database and a worker that do not fit. */
  hopeless(status: Deno.CommandStatus): Error | undefined {
    const message = this.#child.tail.filter((text) => parseLogLine(text) === undefined).join("\n");
    if (status.code === EXIT.usage) return new UsageError(message);
    const isRefused = this.#options.acceptedAt !== undefined && !this.#accepted &&
      status.code === EXIT.failed;
    return isRefused ? new PipelineError("database_unfit", message) : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stop(STOP_DEADLINE_MS);
  }

  #spawn(): Child {
    const { name, args, env, pidFile, acceptedAt, onLine } = this.#options;
    this.healthPort = undefined;
    this.#accepted = false;
    const log = Deno.openSync(this.logPath, { create: true, append: true, mode: 0o600 });
    const encoder = new TextEncoder();
    const child = new Child({
      command: Deno.execPath(),
      args: [...taskArguments(name), ...args],
      env: { ...env, ...this.#pagePort, ...READABLE, HEALTH_HOST: "127.0.0.1", HEALTH_PORT: "0" },
      cwd: CLONE,
      pidFile,
      stopSignal: "SIGTERM",
      onLine: (text) => {
        log.writeSync(encoder.encode(`${text}\n`));
        const line = parseLogLine(text);
        if (line === undefined) return;
        if (line.event === "health.listening") this.healthPort = Number(line.fields["port"]);
        if (line.event === "monitor.listening") {
          this.#pagePort = { MONITOR_PORT: String(line.fields["port"]) };
        }
        if (line.event === acceptedAt) this.#accepted = true;
        onLine(line);
      },
    });
    child.exited.finally(() => log.close());
    return child;
  }
}
