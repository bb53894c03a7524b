import { join } from "node:path";
import { Child } from "../../stack/process/child.ts";
import { CLONE } from "../../stack/process/clone.ts";
import { describeExit, type Restartable } from "../../stack/process/keep_running.ts";
import { settlesWithin } from "../../stack/process/wait.ts";
import { taskArguments } from "../../stack/worker_task.ts";
import { UsageError } from "../../workers/_shared/errors.ts";
import { EXIT } from "../../workers/_shared/lifecycle.ts";

/** Much longer than a consumer needs to stop while all servers answer. */
const STOP_DEADLINE_MS = 12_000;

export interface ConsumerOptions {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  readonly folder: string;
  readonly pidFile: string;
  readonly onProgress: (text: string) => void;
}

export class ConsumerProcess implements Restartable, AsyncDisposable {
  readonly name: string;
  /** Number of exits that neither `kill`, `stop` nor the disposal caused. */
  unexpectedExits = 0;
  /** The log lines of the event `rollup.rebuild_began`. */
  readonly rebuilds: string[] = [];
  readonly #options: ConsumerOptions;
  #child: Child;
  #restartAllowed: PromiseWithResolvers<void> | undefined;
  #exitExpected = false;

  constructor(options: ConsumerOptions) {
    this.#options = options;
    this.name = options.name;
    this.#child = this.#spawn();
  }

  get running(): boolean {
    return this.#child.running;
  }

  get exited(): Promise<Deno.CommandStatus> {
    return this.#child.exited;
  }

  async start({ signal }: { signal: AbortSignal }): Promise<void> {
    const stopped = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => stopped.resolve(), { once: true });
    await Promise.race([this.#restartAllowed?.promise, stopped.promise]);
    if (!signal.aborted && !this.#child.running) this.#child = this.#spawn();
  }

  hopeless(status: Deno.CommandStatus): Error | undefined {
    if (status.code !== EXIT.usage) return undefined;
    return new UsageError(this.#child.tail.join("\n"));
  }

  async kill(): Promise<void> {
    this.#preventRestart();
    await this.#child.kill();
  }

  async stop(): Promise<void> {
    this.#preventRestart();
    await this.#child.stop(STOP_DEADLINE_MS);
  }

  allowRestart(): void {
    this.#restartAllowed?.resolve();
    this.#restartAllowed = undefined;
  }

  freeze(): void {
    this.#child.signal("SIGSTOP");
  }

  thaw(): void {
    this.#child.signal("SIGCONT");
  }

  #preventRestart(): void {
    this.#exitExpected = true;
    this.#restartAllowed ??= Promise.withResolvers<void>();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#exitExpected = true;
    this.allowRestart();
    this.thaw();
    this.#child.signal("SIGTERM");
    if (!await settlesWithin(this.#child.exited, 3_000)) await this.#child.kill();
  }

  #spawn(): Child {
    const { name, env, folder, pidFile, onProgress } = this.#options;
    const log = Deno.openSync(join(folder, `${name.replaceAll(" ", "-")}.log`), {
      create: true,
      append: true,
    });
    const encoder = new TextEncoder();
    const child = new Child({
      command: Deno.execPath(),
      args: taskArguments("consumer"),
      // Summaries at level info, and one line for each reject, would fill the log.
      env: { LOG_FORMAT: "json", LOG_LEVEL: "warning", HEALTH_HOST: "127.0.0.1", HEALTH_PORT: "0", ...env },
      cwd: CLONE,
      pidFile,
      stopSignal: "SIGTERM",
      onLine: (line) => {
        if (line.includes('"rollup.rebuild_began"')) this.rebuilds.push(line);
        if (!line.includes('"record.rejected"')) log.writeSync(encoder.encode(`${line}\n`));
      },
    });
    this.#exitExpected = false;
    child.exited.then((status) => {
      log.close();
      if (this.#exitExpected) return;
      this.unexpectedExits++;
      onProgress(
        `${name} ended unexpectedly (${describeExit(status)}): ${child.tail.at(-1) ?? "no output"}`,
      );
    });
    return child;
  }
}
