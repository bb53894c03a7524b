/** One server of the stack: started, watched until it answers, stopped, and disturbed by tests. */
import { PipelineError } from "../../workers/_shared/errors.ts";
import type { Child } from "./child.ts";
import { childrenOf, sendSignal } from "./process_table.ts";
import { settlesWithin } from "./wait.ts";

export interface Service {
  readonly name: string;
  readonly port: number;
  /** Process id of the newest start. */
  readonly pid: number;
  readonly running: boolean;
  readonly logPath: string;
  /** Settles when the process of the newest start is gone, whoever ended it. */
  readonly exited: Promise<Deno.CommandStatus>;
  /** Starts it again on the same port and data, and waits until it answers. Does nothing when it runs. */
  readonly start: (options?: { signal?: AbortSignal }) => Promise<void>;
  /** Ends it as an operator would. */
  readonly stop: () => Promise<void>;
  /** Ends it, with its children, as a power cut would (SIGKILL). */
  readonly kill: () => Promise<void>;
  /** Stops its clock, with its children's (SIGSTOP): connections stay open and nothing answers. Not on Windows. */
  readonly freeze: () => Promise<void>;
  /** Ends a freeze (SIGCONT). */
  readonly thaw: () => Promise<void>;
}

export interface ServiceOptions {
  readonly name: string;
  readonly port: number;
  readonly logPath: string;
  readonly spawn: () => Promise<Child>;
  /** Whether the server answers; asked again and again until it does. */
  readonly answers: () => Promise<boolean>;
  readonly stop: (child: Child) => Promise<void>;
  /** A line that a server prints when it ends for a reason that is gone a moment later. */
  readonly transientFailure?: RegExp;
}

const START_DEADLINE_MS = 90_000;
const START_TRIES = 5;
const ASK_EVERY_MS = 50;

/** Starts a server and waits until it answers. */
export async function startService(
  options: ServiceOptions,
  { signal }: { signal: AbortSignal },
): Promise<Service> {
  let child = await startUntilAnswers(options, signal);
  const family = async () => [child.pid, ...await childrenOf(child.pid)];
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
      // The parent goes first: it must not see its children die, and tidy up.
      for (const pid of await family()) sendSignal(pid, "SIGKILL");
      frozen.length = 0;
      await child.exited;
    },
    freeze: async () => {
      if (Deno.build.os === "windows") throw new TypeError("Windows cannot freeze a process");
      // The parent goes first, so that no child is born between the two looks.
      sendSignal(child.pid, "SIGSTOP");
      frozen.push(...await family());
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
    const why = child.tail.length === 0 ? "it said nothing" : child.tail.slice(-4).join(" | ");
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
