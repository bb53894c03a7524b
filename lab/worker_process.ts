import { CLONE } from "../stack/process/clone.ts";
import { taskArguments, type TaskWorker } from "../stack/worker_task.ts";
import { askLoopback } from "../workers/_shared/health.ts";
import { eventually } from "./eventually.ts";

/** Variables that Deno needs to start. A worker gets no other variables from the environment of the tests. */
const INHERITED = ["PATH", "HOME", "DENO_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA", "USERPROFILE", "SYSTEMROOT"];
const TAIL_LINES = 30;

export interface LogLine {
  readonly time: string;
  readonly level: string;
  readonly event: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** A module that runs in the process before the worker. */
  readonly preload?: string;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** A worker as a process, started with the arguments of its task. */
export class WorkerProcess implements AsyncDisposable {
  /** The entries of the structured log, in order. */
  readonly lines: LogLine[] = [];
  /** Everything from standard output and standard error. */
  output = "";
  readonly exited: Promise<Deno.CommandStatus>;
  readonly #child: Deno.ChildProcess;
  #running = true;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    const killWorker = () => this.kill("SIGKILL");
    // Ends the worker when this process exits. Only SIGKILL prevents this.
    globalThis.addEventListener("unload", killWorker);
    this.exited = (async () => {
      const [status] = await Promise.all([child.status, this.#read(child.stdout), this.#read(child.stderr)]);
      this.#running = false;
      globalThis.removeEventListener("unload", killWorker);
      return status;
    })();
  }

  /** End `chaos` with `stop`, because it has child processes. */
  static start(
    worker: TaskWorker,
    options: StartOptions,
  ): WorkerProcess {
    const inherited = INHERITED.flatMap((name) => {
      const value = Deno.env.get(name);
      return value === undefined ? [] : [[name, value] as const];
    });
    const preload = options.preload === undefined ? [] : ["--preload", options.preload];
    return new WorkerProcess(
      new Deno.Command(Deno.execPath(), {
        args: [...taskArguments(worker, preload), ...options.args ?? []],
        cwd: CLONE,
        clearEnv: true,
        env: { ...Object.fromEntries(inherited), NO_COLOR: "1", ...options.env },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn(),
    );
  }

  get pid(): number {
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#running;
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      this.output += text;
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (!line.startsWith("{")) continue;
        try {
          this.lines.push(JSON.parse(line));
        } catch {
          // This is not a log line. `output` contains it too.
        }
      }
    }
  }

  events(event: string): LogLine[] {
    return this.lines.filter((line) => line.event === event);
  }

  /** Waits until the worker has logged this event with matching fields. An entry from before the call counts too. */
  async untilLogged(event: string, fits: (line: LogLine) => boolean = () => true): Promise<LogLine> {
    return await eventually(`the worker to log ${event}`, () => {
      const found = this.events(event).find(fits);
      if (found === undefined && !this.#running) throw new Error(`the worker ended before:\n${this.tail()}`);
      return found;
    }, { seen: () => this.tail() });
  }

  async get(path: "/livez" | "/readyz" | "/metrics", withinMs = 5_000): Promise<Answer> {
    const { port } = await this.untilLogged("health.listening");
    return await askLoopback(`http://127.0.0.1:${port}${path}`, withinMs);
  }

  async untilNotReady(reason: RegExp): Promise<void> {
    let last: unknown;
    await eventually(`/readyz to give the reason ${reason}`, async () => {
      const { status, text } = last = await this.get("/readyz");
      return status === 503 && reason.test(text);
    }, { seen: () => last });
  }

  async untilReady(): Promise<void> {
    let last: unknown;
    await eventually("/readyz to answer 200", async () => {
      const { status } = last = await this.get("/readyz");
      return status === 200;
    }, { seen: () => last });
  }

  /** The sum of all samples of the metric whose line contains `labels`. */
  async metric(name: string, labels = ""): Promise<number> {
    const { text } = await this.get("/metrics");
    return text.split("\n")
      .filter((line) => new RegExp(`^${name}[{ ]`).test(line) && line.includes(labels))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
  }

  kill(signal: Deno.Signal): void {
    if (!this.#running) return;
    try {
      this.#child.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError) && !(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** Waits for the end of the process. After signal n, the exit code is 128 + n. */
  async exitCode({ withinMs = 90_000 }: { withinMs?: number } = {}): Promise<number> {
    await eventually("the worker to end", () => !this.#running, { withinMs, seen: () => this.tail() });
    return (await this.exited).code;
  }

  async stop(): Promise<number> {
    this.kill("SIGTERM");
    return await this.exitCode();
  }

  tail(lines = TAIL_LINES): string {
    return `--- process ${this.pid}, last lines\n${
      this.output.trimEnd().split("\n").slice(-lines).join("\n")
    }`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGKILL");
    await this.exited;
  }
}
