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
 * A failure that is not a bug of ours. Its message follows
 * "Cannot <action>: <what is>, expected <what may be>" and, when waiting does not cure it, says what to do next.
 */
export class PipelineError extends Error {
  override readonly name = "PipelineError";
  /** What happened, for programs. */
  readonly code: ErrorCode;
  /** Whether doing the same again later can succeed. */
  readonly retriable: boolean;

  constructor(code: ErrorCode, message: string, options: { retriable?: boolean; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.retriable = options.retriable ?? false;
  }
}

/** Whether an error says of itself that trying again is of no use. */
export function isFatal(error: unknown): error is PipelineError {
  return error instanceof PipelineError && !error.retriable;
}

/** A command line or an environment that cannot be used; the program exits with 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  /** A line for each thing that is wrong, when they can be told apart. */
  readonly problems: readonly string[];

  constructor(message: string, problems: readonly string[] = []) {
    super(message);
    this.problems = problems;
  }
}

/**
 * One line that says why something failed: the message and, where they add something, the causes below it.
 * Aggregates (`AggregateError`, the Kafka client's `MultipleErrors`) are told by their last member, the newest try.
 */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  let current: unknown = error;
  for (let depth = 0; depth < 5 && current !== undefined && current !== null; depth++) {
    const message = (current instanceof Error ? current.message || current.name : String(current)).trim();
    if (message !== "" && !parts.some((part) => part.includes(message))) {
      parts.push(message.replace(/\.$/, ""));
    }
    // Ours say it all: their message was made from their cause.
    if (current instanceof PipelineError) break;
    current = innerError(current);
  }
  return parts.join(": ");
}

/** The error that caused this one, or of several tries the last. */
export function innerError(error: unknown): unknown {
  if (!(error instanceof Error)) return undefined;
  const several = (error as { errors?: unknown }).errors;
  if (Array.isArray(several) && several.length > 0) return several.at(-1);
  return error.cause;
}

/** The first error in the chain of causes that has a property of this name, with its value. */
export function findInCauses(error: unknown, property: string): unknown {
  let current: unknown = error;
  for (let depth = 0; depth < 8 && current instanceof Error; depth++) {
    const value = (current as unknown as Record<string, unknown>)[property];
    if (value !== undefined && value !== null) return value;
    current = innerError(current);
  }
  return undefined;
}
