/** One of the consumers: a child process that can be disturbed, and is started again whenever it ended. */
import { join } from "node:path";
import { Child } from "../../stack/process/child.ts";
import { CLONE } from "../../stack/process/clone.ts";
import { describeExit, type Restartable } from "../../stack/process/keep_running.ts";
import { settlesWithin } from "../../stack/process/wait.ts";
import { taskArguments } from "../../stack/worker_task.ts";
import { UsageError } from "../../workers/_shared/errors.ts";
import { EXIT } from "../../workers/_shared/lifecycle.ts";

/** An orderly end takes a fraction of it, unless a server that it says goodbye to is silent. */
const STOP_DEADLINE_MS = 12_000;

export interface ConsumerOptions {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  /** Absolute folder for its log. */
  readonly folder: string;
  readonly pidFile: string;
  readonly onProgress: (text: string) => void;
}

export class ConsumerProcess implements Restartable, AsyncDisposable {
  readonly name: string;
  /** Times that it ended without being told to. */
  ownEnds = 0;
  /** What it said about rebuilds that it began. */
  readonly rebuilds: string[] = [];
  readonly #options: ConsumerOptions;
  #child: Child;
  #held: PromiseWithResolvers<void> | undefined;
  /** Whether we ended the newest start. */
  #ended = false;

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

  /** Once nobody holds it down. */
  async start({ signal }: { signal: AbortSignal }): Promise<void> {
    const stopped = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => stopped.resolve(), { once: true });
    await Promise.race([this.#held?.promise, stopped.promise]);
    if (!signal.aborted && !this.#child.running) this.#child = this.#spawn();
  }

  hopeless(status: Deno.CommandStatus): Error | undefined {
    if (status.code !== EXIT.usage) return undefined;
    return new UsageError(this.#child.tail.join("\n"));
  }

  /** kill -9; it stays down until it is let up. */
  async kill(): Promise<void> {
    this.#hold();
    await this.#child.kill();
  }

  /** As an operator would; it stays down until it is let up. */
  async stop(): Promise<void> {
    this.#hold();
    await this.#child.stop(STOP_DEADLINE_MS);
  }

  /** Ends `kill` or `stop`. */
  letUp(): void {
    this.#held?.resolve();
    this.#held = undefined;
  }

  freeze(): void {
    this.#child.signal("SIGSTOP");
  }

  thaw(): void {
    this.#child.signal("SIGCONT");
  }

  #hold(): void {
    this.#ended = true;
    this.#held ??= Promise.withResolvers<void>();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    this.letUp();
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
      // Its summaries and each reject would be most of what is written.
      env: { LOG_FORMAT: "json", LOG_LEVEL: "warning", HEALTH_HOST: "127.0.0.1", HEALTH_PORT: "0", ...env },
      cwd: CLONE,
      pidFile,
      stopSignal: "SIGTERM",
      onLine: (line) => {
        if (line.includes('"rollup.rebuild_began"')) this.rebuilds.push(line);
        if (!line.includes('"record.rejected"')) log.writeSync(encoder.encode(`${line}\n`));
      },
    });
    this.#ended = false;
    child.exited.then((status) => {
      log.close();
      if (this.#ended) return;
      this.ownEnds++;
      onProgress(
        `${name} ended by itself (${describeExit(status)}): ${child.tail.at(-1) ?? "it said nothing"}`,
      );
    });
    return child;
  }
}
