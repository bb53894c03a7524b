import process from "node:process";
import { CommanderError } from "commander";
import type { Environment } from "./env.ts";
import { describeError, PipelineError, UsageError } from "./errors.ts";
import { printable, printableLines, writeError } from "./output.ts";
import { Secrets } from "./secrets.ts";

/** docs/pipeline_spec.md promises this deadline. docker-compose.yml kills the process after 15 s. */
const SHUTDOWN_DEADLINE_MS = 10_000;
/** One Ctrl-C can arrive twice: from the terminal, and from `deno task` or npx, which pass it on. */
const SAME_SIGNAL_MS = 1_000;

/** Windows has no SIGTERM. Its console sends SIGINT for Ctrl-C and SIGBREAK for Ctrl-Break. */
const TERMINATION_SIGNALS = ["SIGINT", Deno.build.os === "windows" ? "SIGBREAK" : "SIGTERM"] as const;

export const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

export interface WorkerContext {
  readonly args: readonly string[];
  readonly env: Environment;
  readonly readFile: (path: string) => string;
  /** Aborts at the first signal, or when `fail` is called. In the second case, its reason is the error. */
  readonly signal: AbortSignal;
  /** Stops the program because of an error that waiting does not cure. */
  readonly fail: (error: Error) => void;
  readonly resources: Resources;
  readonly secrets: Secrets;
}

/** Closes resources in reverse order. If the shutdown misses its deadline, the names of the open ones are printed. */
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
      // One failure must not keep the others open.
      await Promise.try(last.close).catch((error) => failures.push(error));
      // Removed only after it is closed, so that a missed deadline prints its name.
      this.#opened.pop();
    }
    if (failures.length > 0) throw failures[0];
  }
}

/**
 * Exits with the code that `main` returns, or 0; with 1 after a failure, 2 after a usage error, and 130 if a second signal or
 * the deadline interrupted the shutdown.
 */
export async function runWorker(main: (context: WorkerContext) => Promise<number | void>): Promise<never> {
  hideKnownWarnings();
  const stop = new AbortController();
  const resources = new Resources();
  const secrets = new Secrets();
  let firstSignalAt: number | undefined;
  let failure: unknown;
  const exitNow = (after: string): never => {
    // A failure matters more to a supervisor than the shutdown that hung after it.
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
  // Deno would print an uncaught error with the secrets in it.
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

/** Hides two warnings about packages: an overdue timer of the Kafka client, and `punycode`. */
function hideKnownWarnings(): void {
  const printers = process.listeners("warning");
  process.removeAllListeners("warning");
  process.on("warning", (warning: Error & { code?: string }) => {
    if (warning.name === "TimeoutNegativeWarning" || warning.code === "DEP0040") return;
    for (const print of printers) print(warning);
  });
}

function report(error: unknown, secrets: Secrets): number {
  // Commander has already printed the help text or the wrong flag.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof UsageError) {
    writeError(printableLines(secrets.redact(error.message)));
    return EXIT.usage;
  }
  const expected = error instanceof PipelineError || !(error instanceof Error);
  const text = secrets.redact(expected ? describeError(error) : error.stack ?? error.message);
  writeError(expected ? printable(text) : printableLines(text));
  return EXIT.failed;
}
