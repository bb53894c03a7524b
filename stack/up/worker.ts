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

export interface WorkerOptions {
  readonly name: "consumer" | "producer";
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly folder: string;
  readonly pidFile: string;
  readonly onLine: (line: LogLine) => void;
}

export class Worker implements Restartable, AsyncDisposable {
  readonly name: string;
  readonly logPath: string;
  healthPort: number | undefined;
  readonly #options: WorkerOptions;
  #child: Child;
  #migrated = false;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.name = `The ${options.name}`;
    this.logPath = join(options.folder, `${options.name}.log`);
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

  /** A restart cannot correct wrong settings, or a database that the consumer refuses before it has migrated it. */
  hopeless(status: Deno.CommandStatus): Error | undefined {
    const message = this.#child.tail.filter((text) => parseLogLine(text) === undefined).join("\n");
    if (status.code === EXIT.usage) return new UsageError(message);
    const isRefused = this.#options.name === "consumer" && !this.#migrated && status.code === EXIT.failed;
    return isRefused ? new PipelineError("database_unfit", message) : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stop(STOP_DEADLINE_MS);
  }

  #spawn(): Child {
    const { name, args, env, pidFile, onLine } = this.#options;
    this.healthPort = undefined;
    this.#migrated = false;
    const log = Deno.openSync(this.logPath, { create: true, append: true });
    const encoder = new TextEncoder();
    const child = new Child({
      command: Deno.execPath(),
      args: [...taskArguments(name), ...args],
      env: { ...env, LOG_FORMAT: "json", HEALTH_HOST: "127.0.0.1", HEALTH_PORT: "0" },
      cwd: CLONE,
      pidFile,
      stopSignal: "SIGTERM",
      onLine: (text) => {
        log.writeSync(encoder.encode(`${text}\n`));
        const line = parseLogLine(text);
        if (line === undefined) return;
        if (line.event === "health.listening") this.healthPort = Number(line.fields["port"]);
        if (line.event === "schema.migrated") this.#migrated = true;
        onLine(line);
      },
    });
    child.exited.finally(() => log.close());
    return child;
  }
}
