/** The closed list of failures that an operator can act on. */
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

/** A failure that is not a bug. If waiting does not help, its message says what to do next. */
export class PipelineError extends Error {
  override readonly name = "PipelineError";
  readonly retriable: boolean;

  constructor(
    readonly code: ErrorCode,
    message: string,
    { retriable = false, cause }: { retriable?: boolean; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.retriable = retriable;
  }
}

export function isFatal(error: unknown): error is PipelineError {
  return error instanceof PipelineError && !error.retriable;
}

/** The command line or the environment is wrong. The program exits with 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";

  /** @param problems one line each; empty if the message describes a single problem */
  constructor(message: string, readonly problems: readonly string[] = []) {
    super(message);
  }
}

const MAX_DESCRIBED_CAUSES = 5;
const MAX_SEARCHED_CAUSES = 8;

/** Returns one line with the error's message and those messages of its causes that add something. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  for (const current of withCauses(error, MAX_DESCRIBED_CAUSES)) {
    const message = (current instanceof Error ? current.message || current.name : String(current)).trim();
    if (message !== "" && !parts.some((part) => part.includes(message))) {
      parts.push(message.replace(/\.$/, ""));
    }
    // The message of a PipelineError already includes its cause.
    if (current instanceof PipelineError) break;
  }
  return parts.join(": ");
}

/** Returns the value of this property in the first error that has it, along the chain of causes. */
export function findInCauses(error: unknown, property: string): unknown {
  for (const current of withCauses(error, MAX_SEARCHED_CAUSES)) {
    if (!(current instanceof Error)) return undefined;
    const value = (current as unknown as Record<string, unknown>)[property];
    if (value !== undefined && value !== null) return value;
  }
}

/** An `AggregateError` or the Kafka client's `MultipleErrors` is followed by its last member, the error of the newest attempt. */
function* withCauses(error: unknown, most: number): Generator<unknown> {
  for (let left = most; left > 0 && error !== undefined && error !== null; left--) {
    yield error;
    if (!(error instanceof Error)) return;
    const { errors } = error as { errors?: unknown };
    error = Array.isArray(errors) && errors.length > 0 ? errors.at(-1) : error.cause;
  }
}
