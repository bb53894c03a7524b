/** What an error of PostgreSQL means: for the next attempt, for the row that was written, and for an operator. */
import { describeError, findInCauses, PipelineError } from "./errors.ts";

/** No answer came in time within a transaction: the connection is given up. */
export class ResponseTimeout extends Error {
  override readonly name = "ResponseTimeout";
  readonly code = "RESPONSE_TIMEOUT";
}
/** What the driver says, which gives it no code, when a statement outside of one had none. */
const DRIVER_TIMEOUT = /Query read timeout/;

/** The five characters of PostgreSQL's answer, when it was PostgreSQL that answered. */
export function sqlState(error: unknown): string | undefined {
  const code = findInCauses(error, "code");
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) && !code.startsWith("E") ? code : undefined;
}

/**
 * Whether the server can do nothing at the moment, whatever it is asked: connection exceptions (08), read-only (25006),
 * insufficient resources such as a full disk (53), a shutdown or a start under way (57P), errors of its system (58).
 */
export function isServerUnavailable(error: unknown): boolean {
  return /^(08|25006|53|57P|58)/.test(sqlState(error) ?? "");
}

/** Whether a statement or a transaction took too long for the server (57014, 25P04) or this program. A smaller one may fit. */
export function isTimeout(error: unknown): boolean {
  return /^(57014|25P04)$/.test(sqlState(error) ?? "") ||
    findInCauses(error, "code") === "RESPONSE_TIMEOUT" ||
    DRIVER_TIMEOUT.test(describeError(error));
}

/** The server was asked to commit, and nobody knows whether it did. */
class OutcomeUnknown extends Error {
  override readonly name = "OutcomeUnknown";
}

/** @param commit what commits when it succeeds */
export async function detectUnknownOutcome<T>(commit: Promise<T>): Promise<T> {
  try {
    return await commit;
  } catch (error) {
    if (sqlState(error) !== undefined && !isServerUnavailable(error)) throw error;
    throw new OutcomeUnknown(describeError(error), { cause: error });
  }
}

/** Whether what was asked for may have been done although it failed: the answer of a COMMIT can get lost. */
export function isOutcomeUnknown(error: unknown): boolean {
  return error instanceof OutcomeUnknown;
}

/**
 * What a value itself can be refused for: too long (22001), out of range (22003), no instant (22007, 22008), characters
 * that the database cannot hold (22021, 22P05). Other states of class 22 speak of a COPY stream that does not fit the
 * table, of an exhausted sequence, of the code of a trigger.
 */
const VALUE_STATES = /^22(001|003|007|008|021|P05)$/;
const CHECK_VIOLATION = "23514";
const UNIQUE_VIOLATION = "23505";

/**
 * Whether PostgreSQL refused a row for its own values, whatever else the database holds: then waiting cannot cure it.
 * Only a named CHECK constraint looks at nothing but the row. Without a name, 23514 means that no partition takes the
 * row; keys, foreign keys and NOT NULL depend on other rows, or on columns that this program does not write.
 */
export function isDataError(error: unknown): boolean {
  const state = sqlState(error) ?? "";
  if (state === CHECK_VIOLATION) return findInCauses(error, "constraint") !== undefined;
  // Where it happened is told for the code of functions: a trigger that fails says nothing about the row.
  return VALUE_STATES.test(state) && !/\bPL\//.test(String(findInCauses(error, "where")));
}

/**
 * Whether the key of a row may be in the table already. The answer does not tell which index it was: each partition names
 * its own. An insert that skips the keys it knows does tell: it fails only for an index that is not the key.
 */
export function isUniqueViolation(error: unknown): boolean {
  return sqlState(error) === UNIQUE_VIOLATION;
}

/** What an operator does about a pooler that does not keep sessions, and about the errors that it causes. */
export const KEEP_SESSIONS =
  "use pool_mode=session for this database in the pooler, or let DATABASE_URL name the " +
  "server itself: a connection has to keep its session";

/** PostgreSQL has not said anything; TLS may have. */
const NO_STATE = /^$/;
/** The next step for whatever the network says. */
const UNREACHABLE = [NO_STATE, /^/, "check that the server runs there (DATABASE_URL)"] as const;

/** What an operator does about an error that waiting may not cure, by PostgreSQL's answer; the first that fits. */
const NEXT_STEPS: readonly (readonly [state: RegExp, reason: RegExp, step: string])[] = [
  [
    NO_STATE,
    /altnames/,
    "its certificate is for another name: correct the host in DATABASE_URL, or the certificate",
  ],
  [
    NO_STATE,
    /certificate/i,
    "check that sslrootcert in DATABASE_URL has the authority of the server's certificate, and that neither has expired",
  ],
  [
    NO_STATE,
    /fatal alert/i,
    "the server turns our certificate away: check sslcert and sslkey in DATABASE_URL",
  ],
  [
    NO_STATE,
    /does not support SSL/,
    "the server has no TLS: switch it on there, or let DATABASE_URL say sslmode=disable",
  ],
  UNREACHABLE,
  [/^28/, /no encryption/, "let DATABASE_URL end in ?sslmode=verify-full: the server wants TLS"],
  [/^28/, /client certificate/, "name a client certificate in DATABASE_URL (sslcert, sslkey)"],
  [/^28/, /./, "check the user and the password in DATABASE_URL"],
  [/^3D000/, /./, "create the database or correct its name in DATABASE_URL"],
  [/^42501/, /./, "grant the missing right to the user in DATABASE_URL"],
  [/^42P01|^42703/, /./, "restore the missing table or column, or run the migrations (--migrate-only)"],
  [/^53100/, /./, "free disk space on the database server"],
  [
    /^23514/,
    /partition/,
    "attach the default partition again: alter table public.heartbeats attach partition public.heartbeats_default default",
  ],
  [/^23/, /./, "drop the constraint or index that refuses rows for more than their own values"],
  [/^25006/, /./, "the server is read-only: point DATABASE_URL at the primary"],
  [/^42P05|^26000/, /./, KEEP_SESSIONS],
];

/** Says what failed towards PostgreSQL, and what to do where waiting may not be enough. */
export function databaseFailure(action: string, target: string, error: unknown): PipelineError {
  // It says already what is wrong and what to do.
  if (error instanceof PipelineError) return error;
  const state = sqlState(error) ?? "";
  const said = describeError(error);
  const known = NEXT_STEPS.find(([pattern, reason]) => pattern.test(state) && reason.test(said));
  const reason = state === "" ? said : `${said} (SQLSTATE ${state})`;
  const message = `Cannot ${action} at PostgreSQL ${target}: ${reason}${
    known === undefined ? "" : `; ${known[2]}`
  }`;
  const refused = state === "" ? known !== UNREACHABLE : /^(28|3D|42)/.test(state);
  const code = refused ? "database_refused" : "database_unavailable";
  return new PipelineError(code, message, { retriable: true, cause: error });
}
