import { PipelineError } from "../../workers/_shared/errors.ts";
import type { Child } from "./child.ts";
import { childrenOf, sendSignal } from "./process_table.ts";
import { settlesWithin } from "./wait.ts";

/** A server of the stack. Tests also kill and freeze it. */
export interface Service {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  readonly running: boolean;
  readonly logPath: string;
  /** Settles when the newest process ends. */
  readonly exited: Promise<Deno.CommandStatus>;
  /** Starts the server on the same port and data if it does not run, and waits until it answers. */
  readonly start: (options?: { signal?: AbortSignal }) => Promise<void>;
  readonly stop: () => Promise<void>;
  /** Sends SIGKILL to the process and its children, like a power failure. */
  readonly kill: () => Promise<void>;
  /** Sends SIGSTOP to the process and its children: connections stay open and nothing answers. Not on Windows. */
  readonly freeze: () => Promise<void>;
  readonly thaw: () => Promise<void>;
}

export interface ServiceOptions {
  readonly name: string;
  readonly port: number;
  readonly logPath: string;
  readonly spawn: () => Promise<Child>;
  /** The start calls it again and again until it returns true. */
  readonly answers: () => Promise<boolean>;
  readonly stop: (child: Child) => Promise<void>;
  /** Matches a line of a server that failed for a temporary reason, which passes within seconds. */
  readonly transientFailure?: RegExp;
}

const START_DEADLINE_MS = 90_000;
const START_TRIES = 5;
const ASK_EVERY_MS = 50;

export async function startService(
  options: ServiceOptions,
  { signal }: { signal: AbortSignal },
): Promise<Service> {
  let child = await startUntilAnswers(options, signal);
  const processTree = async () => [child.pid, ...await childrenOf(child.pid)];
  const frozen: number[] = [];
  const thaw = () => {
    for (const pid of frozen.splice(0).reverse()) sendSignal(pid, "SIGCONT");
    return Promise.resolve();
  };
  return {
    name: options.name,
    port: options.port,
    logPath: options.logPath,
    get pid() {
      return child.pid;
    },
    get running() {
      return child.running;
    },
    get exited() {
      return child.exited;
    },
    start: async ({ signal: stop } = {}) => {
      if (!child.running) child = await startUntilAnswers(options, stop ?? new AbortController().signal);
    },
    stop: async () => {
      await thaw();
      if (child.running) await options.stop(child);
    },
    kill: async () => {
      if (!child.running) return;
      // The parent comes first, so that it cannot see its children die and clean up.
      for (const pid of await processTree()) sendSignal(pid, "SIGKILL");
      frozen.length = 0;
      await child.exited;
    },
    freeze: async () => {
      if (Deno.build.os === "windows") throw new TypeError("Windows cannot freeze a process");
      // The parent comes first, so that it cannot start a child after `processTree` was read.
      sendSignal(child.pid, "SIGSTOP");
      frozen.push(...await processTree());
      for (const pid of frozen) sendSignal(pid, "SIGSTOP");
    },
    thaw,
  };
}

async function startUntilAnswers(options: ServiceOptions, signal: AbortSignal): Promise<Child> {
  for (let attempt = 1;; attempt++) {
    signal.throwIfAborted();
    const child = await options.spawn();
    const outcome = await answersOrEnds(child, options, signal);
    if (outcome === "answers") return child;
    await child.kill();
    signal.throwIfAborted();
    const isTransient = child.tail.some((line) => options.transientFailure?.test(line) ?? false);
    if (outcome === "ended" && isTransient && attempt < START_TRIES) {
      await settlesWithin(new Promise(() => {}), 1_000);
      continue;
    }
    const why = child.tail.length === 0 ? "it printed nothing" : child.tail.slice(-4).join(" | ");
    const what = outcome === "ended"
      ? `it ended (${why})`
      : `it did not answer within ${START_DEADLINE_MS / 1000} s (${why})`;
    throw new PipelineError(
      "stack_failed",
      `Cannot start ${options.name}: ${what}, expected it to answer on port ${options.port}; ` +
        `its log is ${options.logPath}`,
    );
  }
}

async function answersOrEnds(
  child: Child,
  options: ServiceOptions,
  signal: AbortSignal,
): Promise<"answers" | "ended" | "silent" | "aborted"> {
  const end = performance.now() + START_DEADLINE_MS;
  while (performance.now() < end) {
    if (signal.aborted) return "aborted";
    if (!child.running) return "ended";
    if (await options.answers()) return "answers";
    await settlesWithin(child.exited, ASK_EVERY_MS);
  }
  return "silent";
}
