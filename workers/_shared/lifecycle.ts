/** A process from its first line to its exit code: signals, deadlines, and the order of closing. */
import process from "node:process";
import { CommanderError } from "commander";
import type { Environment } from "./env.ts";
import { describeError, PipelineError, UsageError } from "./errors.ts";
import { printable, printableLines, writeError } from "./output.ts";
import { Secrets } from "./secrets.ts";

/** How long a program has after a signal to finish what it has in hand. */
const SHUTDOWN_DEADLINE_MS = 10_000;
/** One Ctrl-C may arrive twice: from the terminal, and passed on by `deno task` or npx in front of us. */
const SAME_SIGNAL_MS = 1_000;

/** Windows knows no SIGTERM; Ctrl-C and Ctrl-Break are what a console sends there. */
const TERMINATION_SIGNALS = ["SIGINT", Deno.build.os === "windows" ? "SIGBREAK" : "SIGTERM"] as const;

export const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

export interface WorkerContext {
  readonly args: readonly string[];
  readonly env: Environment;
  readonly readFile: (path: string) => string;
  /** Aborts at the first SIGINT or SIGTERM, or when part of the program gives up; its reason is then the error. */
  readonly signal: AbortSignal;
  /** Ends the program from within, for what waiting cannot cure. */
  readonly fail: (error: Error) => void;
  readonly resources: Resources;
  /** Hides what it is told of in everything that the process says, its last words included. */
  readonly secrets: Secrets;
}

/** What was opened, by name, closed in reverse order. A missed deadline names what is still open. */
export class Resources implements AsyncDisposable {
  readonly #opened: { name: string; close: () => void | PromiseLike<void> }[] = [];

  use<T extends Disposable | AsyncDisposable>(name: string, resource: T): T {
    this.defer(name, () => {
      return Symbol.asyncDispose in resource ? resource[Symbol.asyncDispose]() : resource[Symbol.dispose]();
    });
    return resource;
  }

  defer(name: string, close: () => void | PromiseLike<void>): void {
    this.#opened.push({ name, close });
  }

  get open(): string {
    return this.#opened.map(({ name }) => name).join(", ") || "nothing";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const failures: unknown[] = [];
    for (let last = this.#opened.at(-1); last !== undefined; last = this.#opened.at(-1)) {
      // What was opened before it must be closed all the same.
      await Promise.try(last.close).catch((error) => failures.push(error));
      // Removed only after it closed: until then it is what the deadline would name.
      this.#opened.pop();
    }
    if (failures.length > 0) throw failures[0];
  }
}

/**
 * Runs a program and ends the process: 0 when it returns (or returns its own code), 1 when it failed, 2 when it was
 * called wrongly, 130 when a second signal or a missed deadline cut an orderly stop short.
 */
export async function runWorker(main: (context: WorkerContext) => Promise<number | void>): Promise<never> {
  hideKnownWarnings();
  const stop = new AbortController();
  const resources = new Resources();
  const secrets = new Secrets();
  let firstSignalAt: number | undefined;
  let failure: unknown;
  const exitNow = (after: string): never => {
    // Why it stops is what a supervisor restarts it for; that the stop itself hung comes second.
    const code = failure === undefined ? EXIT.interrupted : report(failure, secrets);
    writeError(`Stopped without finishing after ${after}; still open: ${resources.open}`);
    Deno.exit(code);
  };
  const onSignal = () => {
    const now = performance.now();
    if (firstSignalAt !== undefined && now - firstSignalAt < SAME_SIGNAL_MS) return;
    if (firstSignalAt !== undefined) exitNow("a second signal");
    firstSignalAt = now;
    stop.abort(failure);
    Deno.unrefTimer(setTimeout(() => exitNow(`${SHUTDOWN_DEADLINE_MS / 1000} s`), SHUTDOWN_DEADLINE_MS));
  };
  for (const signal of TERMINATION_SIGNALS) Deno.addSignalListener(signal, onSignal);
  // What nobody caught is told by us, since Deno would show the secrets in it.
  const onUncaught = (event: Event, error: unknown) => {
    event.preventDefault();
    Deno.exit(report(error, secrets));
  };
  globalThis.addEventListener("error", (event) => onUncaught(event, event.error));
  globalThis.addEventListener("unhandledrejection", (event) => onUncaught(event, event.reason));

  const fail = (error: Error) => {
    failure ??= error;
    if (firstSignalAt === undefined) onSignal();
  };
  let code: number = EXIT.ok;
  try {
    await using opened = resources;
    code = await main({
      args: Deno.args,
      env: Deno.env.toObject(),
      readFile: Deno.readTextFileSync,
      signal: stop.signal,
      fail,
      resources: opened,
      secrets,
    }) ?? EXIT.ok;
  } catch (error) {
    failure ??= error;
    code = EXIT.failed;
  }
  if (failure !== undefined) code = report(failure, secrets);
  Deno.exit(code);
}

/** Hides warnings about the code of packages: a timer of the Kafka client that is late already, and `punycode`. */
function hideKnownWarnings(): void {
  const printers = process.listeners("warning");
  process.removeAllListeners("warning");
  process.on("warning", (warning: Error & { code?: string }) => {
    if (warning.name === "TimeoutNegativeWarning" || warning.code === "DEP0040") return;
    for (const print of printers) print(warning);
  });
}

function report(error: unknown, secrets: Secrets): number {
  // Commander has answered --help and explained a wrong flag already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof UsageError) {
    writeError(printableLines(secrets.redact(error.message)));
    return EXIT.usage;
  }
  const expected = error instanceof PipelineError || !(error instanceof Error);
  const text = secrets.redact(expected ? describeError(error) : error.stack ?? error.message);
  // A bug of ours is told with its stack, anything else in one line.
  writeError(expected ? printable(text) : printableLines(text));
  return EXIT.failed;
}
