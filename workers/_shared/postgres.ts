import type { Socket } from "node:net";
// @ts-types="@types/pg"
import pg from "pg";
import { DATABASE_URL, databaseAddress } from "./database_url.ts";
import { integer } from "./env.ts";
import { detectUnknownOutcome, ResponseTimeout, sqlState } from "./postgres_errors.ts";
import {
  applyLimits,
  canLogIn,
  NonThrowingSocket,
  requireAttributes,
  requireOwnSession,
  type SessionLimits,
} from "./postgres_session.ts";

export { databaseFailure, isServerUnavailable, isTimeout, sqlState } from "./postgres_errors.ts";
export { type SessionLimits, sessionLimits } from "./postgres_session.ts";

const WRITERS = { min: 1, max: 32, unit: "connections that write at the same time", default: 4 };
export const DATABASE_SETTINGS = { DATABASE_URL, DATABASE_CONNECTIONS: integer(WRITERS) };

export type Session = pg.PoolClient;
export type Row = Record<string, unknown>;

export interface Database extends AsyncDisposable {
  /** Host, port and database for messages, without the password. */
  readonly target: string;
  readonly query: <T extends Row>(sql: string, parameters?: readonly unknown[]) => Promise<T[]>;
  /**
   * If it rejects, the transaction was rolled back. But if `isOutcomeUnknown(error)`, it may have committed, and the caller must read
   * the state before it retries.
   *
   * @param first a query without parameters, sent with BEGIN in one round trip; `work` gets its rows
   */
  readonly transaction: <T>(
    work: (session: Session, rows: readonly Row[]) => Promise<T>,
    first?: string,
  ) => Promise<T>;
  /** Runs one statement as a transaction in one round trip, and returns its row count. Rejects as `transaction` does. */
  readonly execute: (statement: Statement) => Promise<number>;
  readonly canLogIn: (user: string, password: string) => Promise<boolean>;
}

/** A prepared statement. The server parses it once for each connection and knows it by its name. */
export type Statement = Readonly<Required<Pick<pg.QueryConfig<unknown[]>, "name" | "text" | "values">>>;

const CONNECT_TIMEOUT_MS = 5_000;
/** Time for the network beyond the server's own limits, before a connection counts as half-open. */
const NETWORK_GRACE_MS = 3_000;

/**
 * Connects at the first use.
 *
 * @param options.settings of PostgreSQL, for each session
 * @throws UsageError if the URL, or a certificate that it names, is wrong
 */
export function openDatabase(
  url: string,
  { connections, limits, name, settings = {} }: {
    connections: number;
    limits: SessionLimits;
    name: string;
    settings?: Readonly<Record<string, string>>;
  },
): Database {
  const { client, target, sessionAttributes } = databaseAddress(name, url, Deno.readTextFileSync);
  const options = {
    application_name: name,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    ...client,
    stream: () => new NonThrowingSocket(),
  };
  let keepsSessions = false;
  const pool = new pg.Pool({
    ...options,
    // One more than the writers use, so that queries are answered while all writers are busy.
    max: connections + 1,
    query_timeout: limits.transactionMs + NETWORK_GRACE_MS,
    keepAlive: true,
    // Idle connections stay open: each new one costs a login and the queries below.
    idleTimeoutMillis: 0,
    onConnect: async (client) => {
      // Checked before the limits are set: a pooler in transaction mode would apply them to other programs.
      if (!keepsSessions) await requireOwnSession(client, options, target);
      keepsSessions = true;
      await applyLimits(client, limits, settings);
      await requireAttributes(client, sessionAttributes);
    },
  });
  // The pool replaces a broken connection at the next use. Without a listener the error would end the process.
  pool.on("error", () => {});
  // Between two uses a session has no other listener, and a server that shuts down may close it just then.
  pool.on("connect", (client) => void client.on("error", () => {}));
  return {
    target,
    query: async <T extends Row>(sql: string, parameters: readonly unknown[] = []) =>
      (await pool.query<T>(sql, [...parameters])).rows,
    transaction: (work, first) => transaction(pool, work, first, limits.transactionMs + NETWORK_GRACE_MS),
    execute: (statement) =>
      withSession(
        pool,
        async (session) => (await detectUnknownOutcome(session.query(statement))).rowCount ?? 0,
      ),
    canLogIn: (user, password) => canLogIn({ ...options, user, password }),
    [Symbol.asyncDispose]: () => pool.end(),
  };
}

async function transaction<T>(
  pool: pg.Pool,
  work: (session: Session, rows: readonly Row[]) => Promise<T>,
  first: string | undefined,
  deadlineMs: number,
): Promise<T> {
  return await withSession(pool, async (session) => {
    // A COPY stream has no client-side timeout: a silent network would block it for ever.
    const stream = (session as unknown as { connection?: { stream?: Socket } }).connection?.stream;
    const deadline = setTimeout(() => stream?.destroy(new ResponseTimeout("no answer in time")), deadlineMs);
    try {
      // Several statements in one text give several results, which the driver's types do not express.
      const begun: unknown = await session.query(first === undefined ? "begin" : `begin; ${first}`);
      const { rows } = (Array.isArray(begun) ? begun.at(-1) : begun) as pg.QueryResult<Row>;
      const result = await work(session, rows);
      await detectUnknownOutcome(session.query("commit"));
      return result;
    } finally {
      clearTimeout(deadline);
    }
  }, (session) => session.query("rollback"));
}

async function withSession<T>(
  pool: pg.Pool,
  work: (session: Session) => Promise<T>,
  recover: (session: Session) => Promise<unknown> = () => Promise.resolve(),
): Promise<T> {
  const session = await pool.connect();
  // A connection that breaks between two queries emits an error, and no query rejects.
  let broken: Error | undefined;
  const onError = (error: Error) => void (broken = error);
  session.on("error", onError);
  try {
    return await work(session);
  } catch (error) {
    if (broken === undefined && sqlState(error) !== undefined) {
      await recover(session).catch((failure) => broken = failure);
    } else {
      // Without a response from the server, the session's state is unknown, so it is not used again.
      broken ??= error instanceof Error ? error : new Error(String(error));
    }
    throw error;
  } finally {
    session.removeListener("error", onError);
    session.release(broken);
  }
}

/** Cancels the session's query on the server, which would otherwise continue it after Ctrl-C. */
export async function cancelOnAbort(
  database: Database,
  session: Session,
  signal: AbortSignal,
): Promise<Disposable> {
  const result = await session.query<{ pid: number }>("select pg_backend_pid() as pid");
  const cancel = () =>
    void database.query("select pg_cancel_backend($1)", [result.rows[0]?.pid]).catch(() => {});
  signal.addEventListener("abort", cancel, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener("abort", cancel) };
}
