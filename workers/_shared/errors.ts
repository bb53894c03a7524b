/** The closed list of what can go wrong for a reason that an operator can act on. */
export type ErrorCode =
  | "kafka_unavailable"
  | "kafka_refused"
  | "topic_missing"
  | "offset_out_of_range"
  | "database_unavailable"
  | "database_refused"
  | "database_unfit"
  | "migration_changed"
  | "schema_too_new"
  | "input_invalid"
  | "stack_failed"
  | "compile_failed"
  | "stuck"
  | "not_caught_up"
  | "unaccounted";

/**
 * A failure that is not a bug of ours: "Cannot <action>: <what is>, expected <what may be>" and, when waiting does not
 * cure it, what to do next.
 */
export class PipelineError extends Error {
  override readonly name = "PipelineError";
  /** Whether doing the same again later can succeed. */
  readonly retriable: boolean;

  /** @param code what happened, for programs */
  constructor(
    readonly code: ErrorCode,
    message: string,
    { retriable = false, cause }: { retriable?: boolean; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.retriable = retriable;
  }
}

/** Whether an error says of itself that trying again is of no use. */
export function isFatal(error: unknown): error is PipelineError {
  return error instanceof PipelineError && !error.retriable;
}

/** A command line or an environment that cannot be used; the program exits with 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";

  /** @param problems a line for each thing that is wrong, when they can be told apart */
  constructor(message: string, readonly problems: readonly string[] = []) {
    super(message);
  }
}

/** One line that says why something failed: the message and, where they add something, the causes below it. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  for (const current of withCauses(error, 5)) {
    const message = (current instanceof Error ? current.message || current.name : String(current)).trim();
    if (message !== "" && !parts.some((part) => part.includes(message))) {
      parts.push(message.replace(/\.$/, ""));
    }
    // Ours say it all: their message was made from their cause.
    if (current instanceof PipelineError) break;
  }
  return parts.join(": ");
}

/** The first error in the chain of causes that has a property of this name, with its value. */
export function findInCauses(error: unknown, property: string): unknown {
  for (const current of withCauses(error, 8)) {
    if (!(current instanceof Error)) return undefined;
    const value = (current as unknown as Record<string, unknown>)[property];
    if (value !== undefined && value !== null) return value;
  }
}

/** An error and what caused it; of an aggregate (`AggregateError`, `MultipleErrors`) the last member, the newest try. */
function* withCauses(error: unknown, most: number): Generator<unknown> {
  for (let left = most; left > 0 && error !== undefined && error !== null; left--) {
    yield error;
    if (!(error instanceof Error)) return;
    const { errors } = error as { errors?: unknown };
    error = Array.isArray(errors) && errors.length > 0 ? errors.at(-1) : error.cause;
  }
}
