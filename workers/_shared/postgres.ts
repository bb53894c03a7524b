/** How every worker reaches PostgreSQL: settings, sessions that cannot hang, transactions, what an error means. */
import { Socket } from "node:net";
// @ts-types="@types/pg"
import pg from "pg";
import { DATABASE_URL, databaseAddress } from "./database_url.ts";
import { integer } from "./env.ts";
import { describeError, findInCauses, PipelineError } from "./errors.ts";
import { canLogIn, KEEP_SESSIONS, requireAttributes, requireOwnSession } from "./session_checks.ts";
import { TellingSocket } from "./telling_socket.ts";

export const DATABASE_SETTINGS = {
  DATABASE_URL,
  DATABASE_CONNECTIONS: integer({
    min: 1,
    max: 32,
    unit: "connections that write at the same time",
    default: 4,
  }),
};

/** How long PostgreSQL lets our session keep anything; it ends what takes longer, also when we are frozen. */
export interface SessionLimits {
  readonly statementMs: number;
  readonly lockMs: number;
  readonly idleInTransactionMs: number;
  readonly transactionMs: number;
}

/** However patient the group is, an attempt ends within the 30 s after which a silent loop counts as hung. */
const MAX_TRANSACTION_MS = 20_000;

/** Well under the group's session timeout, so that a frozen owner's locks are gone before its successor needs them. */
export function sessionLimits(groupSessionTimeoutMs: number): SessionLimits {
  const transactionMs = Math.min(MAX_TRANSACTION_MS, Math.floor(groupSessionTimeoutMs * 0.65));
  return {
    transactionMs,
    statementMs: Math.floor(transactionMs * 0.75),
    lockMs: Math.floor(transactionMs * 0.5),
    idleInTransactionMs: Math.floor(transactionMs * 0.4),
  };
}

export type Session = pg.PoolClient;
export type Row = Record<string, unknown>;

export interface Database extends AsyncDisposable {
  /** Host, port and name, without the password: for messages. */
  readonly target: string;
  readonly query: <T extends Row>(sql: string, parameters?: readonly unknown[]) => Promise<T[]>;
  /**
   * Runs `work` between BEGIN and COMMIT on one connection. When it rejects, everything was rolled back, except that
   * the outcome of a connection lost during COMMIT is unknown: whoever retries must read the state first.
   *
   * @param first a query without parameters that travels with BEGIN; `work` gets its rows
   */
  readonly transaction: <T>(
    work: (session: Session, rows: readonly Row[]) => Promise<T>,
    first?: string,
  ) => Promise<T>;
  /**
   * Runs one statement that is a transaction by itself: one journey to the server. When it rejects without an answer of
   * the server, the outcome is unknown, as with `transaction`.
   *
   * @returns how many rows it is about
   */
  readonly execute: (statement: Statement) => Promise<number>;
  /** Whether another role can log in there with this password. */
  readonly canLogIn: (user: string, password: string) => Promise<boolean>;
}

/** Parsed once a connection, by its name. */
export interface Statement {
  readonly name: string;
  readonly text: string;
  readonly values: unknown[];
}

const CONNECT_TIMEOUT_MS = 5_000;
/** What the driver and this module say when no answer came in time. */
const NO_ANSWER = /Query read timeout|no answer in time/;
/** What a healthy network may take on top of the server's own limits before we call a socket half-open. */
const NETWORK_GRACE_MS = 3_000;

/**
 * Opens a pool; no connection is made before the first use.
 *
 * @throws UsageError when the URL, or a certificate that it names, cannot be used
 */
export function openDatabase(
  url: string,
  { connections, limits, name }: { connections: number; limits: SessionLimits; name: string },
): Database {
  const { client, target, sessionAttributes } = databaseAddress(name, url, Deno.readTextFileSync);
  const options = {
    application_name: name,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    ...client,
    stream: () => new TellingSocket(),
  };
  let keepsSessions = false;
  const pool = new pg.Pool({
    ...options,
    // One more than may write, so that a question is answered also while all of them are busy.
    max: connections + 1,
    query_timeout: limits.transactionMs + NETWORK_GRACE_MS,
    keepAlive: true,
    idleTimeoutMillis: 0,
    onConnect: async (client) => {
      // First of all: a pooler would pass the limits on to other programs.
      if (!keepsSessions) await requireOwnSession(client, options, target);
      keepsSessions = true;
      await applyLimits(client, limits);
      await requireAttributes(client, sessionAttributes);
    },
  });
  // An idle connection that breaks is replaced at the next use; without a listener it would end the process.
  pool.on("error", () => {});
  // While a session passes to its next user it has no listener either: a server that ends it right behind an answer, as a
  // fast shutdown does, would end the process.
  pool.on("connect", (client) => void client.on("error", () => {}));
  return {
    target,
    query: async <T extends Row>(sql: string, parameters: readonly unknown[] = []) => {
      return (await pool.query<T>(sql, [...parameters])).rows;
    },
    transaction: (work, first) => transaction(pool, work, first, limits.transactionMs + NETWORK_GRACE_MS),
    execute: (statement) =>
      withSession(pool, async (session) => (await insistOnAnswer(session.query(statement))).rowCount ?? 0),
    canLogIn: (user, password) => canLogIn({ ...options, user, password }),
    [Symbol.asyncDispose]: () => pool.end(),
  };
}

async function applyLimits(client: pg.ClientBase, limits: SessionLimits): Promise<void> {
  await client.query(
    `select set_config('statement_timeout', $1, false),
            set_config('lock_timeout', $2, false),
            set_config('idle_in_transaction_session_timeout', $3, false),
            set_config('timezone', 'UTC', false),
            case when current_setting('server_version_num')::int >= 170000
                 then set_config('transaction_timeout', $4, false) end`,
    [limits.statementMs, limits.lockMs, limits.idleInTransactionMs, limits.transactionMs].map(String),
  );
}

async function transaction<T>(
  pool: pg.Pool,
  work: (session: Session, rows: readonly Row[]) => Promise<T>,
  first: string | undefined,
  deadlineMs: number,
): Promise<T> {
  return await withSession(pool, async (session) => {
    // COPY streams have no client-side timeout of their own: a silent network would hold them for ever.
    const deadline = setTimeout(() => socketOf(session)?.destroy(new Error("no answer in time")), deadlineMs);
    try {
      // Several statements in one text give several results, which the driver's types do not know.
      const begun: unknown = await session.query(first === undefined ? "begin" : `begin; ${first}`);
      const { rows } = (Array.isArray(begun) ? begun.at(-1) : begun) as pg.QueryResult<Row>;
      const result = await work(session, rows);
      await insistOnAnswer(session.query("commit"));
      return result;
    } finally {
      clearTimeout(deadline);
    }
  }, (session) => session.query("rollback"));
}

/** @param recover brings the session back in order after an error that the server answered with */
async function withSession<T>(
  pool: pg.Pool,
  work: (session: Session) => Promise<T>,
  recover: (session: Session) => Promise<unknown> = () => Promise.resolve(),
): Promise<T> {
  const session = await pool.connect();
  // A connection that breaks between two statements says so by this event and not by a rejected query.
  let broken: Error | undefined;
  const onError = (error: Error) => void (broken = error);
  session.on("error", onError);
  try {
    return await work(session);
  } catch (error) {
    if (broken === undefined && sqlState(error) !== undefined) {
      await recover(session).catch((failure) => broken = failure);
    } else {
      // Not an answer of the server: what the session is doing is unknown, so it is not used again.
      broken ??= error instanceof Error ? error : new Error(String(error));
    }
    throw error;
  } finally {
    session.removeListener("error", onError);
    session.release(broken);
  }
}

function socketOf(session: Session): Socket | undefined {
  const stream: unknown = (session as unknown as { connection?: { stream?: unknown } }).connection?.stream;
  return stream instanceof Socket ? stream : undefined;
}

/** The five characters of PostgreSQL's answer, when it was PostgreSQL that answered. */
export function sqlState(error: unknown): string | undefined {
  const code = findInCauses(error, "code");
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) && !code.startsWith("E") ? code : undefined;
}

/**
 * Whether the server says that it can do nothing at the moment, whatever it is asked: connection exceptions (08), a
 * read-only server (25006), insufficient resources such as a full disk (53), a shutdown or a start under way (57P) and
 * errors of its system (58). It is as good as away.
 */
export function isServerUnable(error: unknown): boolean {
  return /^(08|25006|53|57P|58)/.test(sqlState(error) ?? "");
}

/**
 * Whether a statement or a transaction was cut off because it took too long: by the server (57014, 25P04), or by this
 * program, as when the server is older than transaction_timeout. A smaller one may fit.
 */
export function tookTooLong(error: unknown): boolean {
  return /^(57014|25P04)$/.test(sqlState(error) ?? "") || NO_ANSWER.test(describeError(error));
}

/** The server was asked to commit, and nobody knows whether it did. */
class OutcomeUnknown extends Error {
  override readonly name = "OutcomeUnknown";
}

/** @param commit what commits when it succeeds */
async function insistOnAnswer<T>(commit: Promise<T>): Promise<T> {
  try {
    return await commit;
  } catch (error) {
    if (sqlState(error) !== undefined && !isServerUnable(error)) throw error;
    throw new OutcomeUnknown(describeError(error), { cause: error });
  }
}

/** Whether what was asked for may have been done although it failed: the answer of a COMMIT can get lost. */
export function mayBeDone(error: unknown): boolean {
  return error instanceof OutcomeUnknown;
}

/** What an operator does about an error that waiting may not cure, by PostgreSQL's answer; the first that fits. */
const NEXT_STEPS: readonly (readonly [state: RegExp, reason: RegExp, step: string])[] = [
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

/** The same for what TLS says before PostgreSQL says anything. */
const TLS_STEPS: readonly (readonly [reason: RegExp, step: string])[] = [
  [/altnames/, "its certificate is for another name: correct the host in DATABASE_URL, or the certificate"],
  [
    /certificate/i,
    "check that sslrootcert in DATABASE_URL has the authority of the server's certificate, and that neither has expired",
  ],
  [/fatal alert/i, "the server turns our certificate away: check sslcert and sslkey in DATABASE_URL"],
  [
    /does not support SSL/,
    "the server has no TLS: switch it on there, or let DATABASE_URL say sslmode=disable",
  ],
];

/** Says what failed towards PostgreSQL, and what to do where waiting may not be enough. */
export function databaseFailure(action: string, target: string, error: unknown): PipelineError {
  // It says already what is wrong and what to do.
  if (error instanceof PipelineError) return error;
  const state = sqlState(error);
  const said = describeError(error);
  const tls = state === undefined ? TLS_STEPS.find(([reason]) => reason.test(said))?.[1] : undefined;
  const answered = state === undefined
    ? undefined
    : NEXT_STEPS.find(([pattern, reason]) => pattern.test(state) && reason.test(said))?.[2];
  const next = tls ?? answered ??
    (state === undefined ? "check that the server runs there (DATABASE_URL)" : undefined);
  const reason = state === undefined ? said : `${said} (SQLSTATE ${state})`;
  const message = `Cannot ${action} at PostgreSQL ${target}: ${reason}${
    next === undefined ? "" : `; ${next}`
  }`;
  const refused = tls !== undefined || (state !== undefined && /^(28|3D|42)/.test(state));
  const code = refused ? "database_refused" : "database_unavailable";
  return new PipelineError(code, message, { retriable: true, cause: error });
}
