/** A worker as it runs in the field: a child process that its task starts, judged by what it says and how it ends. */
import { CLONE } from "../stack/process/clone.ts";
import { taskArguments, type TaskWorker } from "../stack/worker_task.ts";
import { askLoopback } from "../workers/_shared/health.ts";
import { eventually } from "./eventually.ts";

/** What Deno itself needs to start; nothing else of the tester's environment reaches a worker. */
const PASSED_ON = ["PATH", "HOME", "DENO_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA", "USERPROFILE", "SYSTEMROOT"];
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
  /** A module that runs in the process before the worker does. */
  readonly preload?: string;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

export class WorkerProcess implements AsyncDisposable {
  /** Structured lines, in order. */
  readonly lines: LogLine[] = [];
  /** Everything it wrote to standard output and standard error. */
  output = "";
  readonly exited: Promise<Deno.CommandStatus>;
  readonly #child: Deno.ChildProcess;
  #running = true;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    const last = () => this.kill("SIGKILL");
    // Whatever way the test process ends short of SIGKILL, it leaves no worker behind.
    globalThis.addEventListener("unload", last);
    this.exited = (async () => {
      const [status] = await Promise.all([child.status, this.#read(child.stdout), this.#read(child.stderr)]);
      this.#running = false;
      globalThis.removeEventListener("unload", last);
      return status;
    })();
  }

  /** `chaos` is no worker, and has children of its own: end it by `stop`. */
  static start(
    worker: TaskWorker,
    options: StartOptions,
  ): WorkerProcess {
    const passed = PASSED_ON.flatMap((name) => {
      const value = Deno.env.get(name);
      return value === undefined ? [] : [[name, value] as const];
    });
    const preload = options.preload === undefined ? [] : ["--preload", options.preload];
    return new WorkerProcess(
      new Deno.Command(Deno.execPath(), {
        args: [...taskArguments(worker, preload), ...options.args ?? []],
        cwd: CLONE,
        clearEnv: true,
        env: { ...Object.fromEntries(passed), NO_COLOR: "1", ...options.env },
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
          // Not one of ours; `output` has it.
        }
      }
    }
  }

  /** The lines of this event so far. */
  events(event: string): LogLine[] {
    return this.lines.filter((line) => line.event === event);
  }

  /** Waits for a line of this event that fits, said already or to come. */
  async said(event: string, fits: (line: LogLine) => boolean = () => true): Promise<LogLine> {
    return await eventually(`the worker to say ${event}`, () => {
      const found = this.events(event).find(fits);
      if (found === undefined && !this.#running) throw new Error(`it ended before:\n${this.tail()}`);
      return found;
    }, { seen: () => this.tail() });
  }

  /** Asks the health port. */
  async get(path: "/livez" | "/readyz" | "/metrics", withinMs = 5_000): Promise<Answer> {
    const { port } = await this.said("health.listening");
    return await askLoopback(`http://127.0.0.1:${port}${path}`, withinMs);
  }

  /** Waits until /readyz answers 503 with a reason like this. */
  async notReady(reason: RegExp): Promise<void> {
    let last: unknown;
    await eventually(`/readyz to give the reason ${reason}`, async () => {
      const { status, text } = last = await this.get("/readyz");
      return status === 503 && reason.test(text);
    }, { seen: () => last });
  }

  async ready(): Promise<void> {
    let last: unknown;
    await eventually("/readyz to be well", async () => {
      const { status } = last = await this.get("/readyz");
      return status === 200;
    }, { seen: () => last });
  }

  /** The value of a metric, summed over its labels that contain `labels`. */
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
      // It ended on its own a moment ago.
      if (!(error instanceof TypeError) && !(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** Waits for its end. 128 + n after a signal. */
  async exitCode({ withinMs = 90_000 }: { withinMs?: number } = {}): Promise<number> {
    await eventually("the worker to end", () => !this.#running, { withinMs, seen: () => this.tail() });
    return (await this.exited).code;
  }

  /** Ends it as an operator would, and waits. */
  async stop(): Promise<number> {
    this.kill("SIGTERM");
    return await this.exitCode();
  }

  /** The newest lines, for a failure's message. */
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
