/** What an error from PostgreSQL means for the next attempt, for the row that was written, and for an operator. */
import { describeError, findInCauses, PipelineError } from "./errors.ts";

export class ResponseTimeout extends Error {
  override readonly name = "ResponseTimeout";
  readonly code = "RESPONSE_TIMEOUT";
}
/** The driver's message for a query outside a transaction; it has no code. */
const DRIVER_TIMEOUT = /Query read timeout/;

export function sqlState(error: unknown): string | undefined {
  const code = findInCauses(error, "code");
  // Codes of Node such as EPIPE have the same form. No SQLSTATE begins with E.
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) && !code.startsWith("E") ? code : undefined;
}

/** Connection exception (08), read-only (25006), insufficient resources (53), shutdown or startup (57P), system error (58). */
export function isServerUnavailable(error: unknown): boolean {
  return /^(08|25006|53|57P|58)/.test(sqlState(error) ?? "");
}

/** The server (57014, 25P04) or this program ended the attempt because it took too long. A smaller attempt may succeed. */
export function isTimeout(error: unknown): boolean {
  return /^(57014|25P04)$/.test(sqlState(error) ?? "") ||
    findInCauses(error, "code") === "RESPONSE_TIMEOUT" ||
    DRIVER_TIMEOUT.test(describeError(error));
}

class OutcomeUnknown extends Error {
  override readonly name = "OutcomeUnknown";
}

/** @throws OutcomeUnknown if `commit` fails without a definite response */
export async function detectUnknownOutcome<T>(commit: Promise<T>): Promise<T> {
  try {
    return await commit;
  } catch (error) {
    if (sqlState(error) !== undefined && !isServerUnavailable(error)) throw error;
    throw new OutcomeUnknown(describeError(error), { cause: error });
  }
}

/** Whether the transaction may have committed: the response to a COMMIT can get lost. */
export function isOutcomeUnknown(error: unknown): boolean {
  return error instanceof OutcomeUnknown;
}

/**
 * A value is too long (22001), out of range (22003), not a date or time (22007, 22008), or has characters that the database
 * cannot store (22021, 22P05). The rest of class 22 concerns a wrong COPY stream, an exhausted sequence or trigger code.
 */
const VALUE_STATES = /^22(001|003|007|008|021|P05)$/;
const CHECK_VIOLATION = "23514";
const UNIQUE_VIOLATION = "23505";

/**
 * Whether PostgreSQL refused a row for its own values, so that waiting does not help. A named CHECK is the only constraint that
 * depends on the row alone. A 23514 without a name means that no partition accepts the row.
 */
export function isDataError(error: unknown): boolean {
  const state = sqlState(error) ?? "";
  if (state === CHECK_VIOLATION) return findInCauses(error, "constraint") !== undefined;
  // `where` names the function that failed: an error in a trigger says nothing about the row.
  return VALUE_STATES.test(state) && !/\bPL\//.test(String(findInCauses(error, "where")));
}

/** The key exists, or another unique index refused the row. The index name does not tell: each partition has its own indexes. */
export function isUniqueViolation(error: unknown): boolean {
  return sqlState(error) === UNIQUE_VIOLATION;
}

export const KEEP_SESSIONS =
  "use pool_mode=session for this database in the pooler, or let DATABASE_URL name the " +
  "server itself: a connection has to keep its session";

/** The error does not come from PostgreSQL, but from the network or TLS. */
const NO_STATE = /^$/;
const UNREACHABLE = [NO_STATE, /^/, "check that the server runs there (DATABASE_URL)"] as const;

/** What an operator does about errors that waiting may not cure. The first match counts. */
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
    "the server refuses this program's certificate: check sslcert and sslkey in DATABASE_URL",
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

export function databaseFailure(action: string, target: string, error: unknown): PipelineError {
  if (error instanceof PipelineError) return error;
  const state = sqlState(error) ?? "";
  const description = describeError(error);
  const known = NEXT_STEPS.find(([pattern, reason]) => pattern.test(state) && reason.test(description));
  const reason = state === "" ? description : `${description} (SQLSTATE ${state})`;
  const message = `Cannot ${action} at PostgreSQL ${target}: ${reason}${
    known === undefined ? "" : `; ${known[2]}`
  }`;
  // The server or TLS refused: the settings are probably wrong.
  const refused = state === "" ? known !== UNREACHABLE : /^(28|3D|42)/.test(state);
  const code = refused ? "database_refused" : "database_unavailable";
  return new PipelineError(code, message, { retriable: true, cause: error });
}
