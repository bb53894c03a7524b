/** How every worker reaches PostgreSQL: settings, sessions that cannot hang, transactions, what an error means. */
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
  /** Host, port and name, without the password: for messages. */
  readonly target: string;
  readonly query: <T extends Row>(sql: string, parameters?: readonly unknown[]) => Promise<T[]>;
  /**
   * Runs `work` between BEGIN and COMMIT on one connection, with the rows of `first`, a query without parameters that
   * travels with BEGIN. When it rejects, everything was rolled back, except that the outcome of a connection lost during
   * COMMIT is unknown: whoever retries must read the state first.
   */
  readonly transaction: <T>(
    work: (session: Session, rows: readonly Row[]) => Promise<T>,
    first?: string,
  ) => Promise<T>;
  /**
   * Runs one statement that is a transaction by itself, in one round trip, and gives the number of its rows. When it
   * rejects without an answer of the server, the outcome is unknown, as with `transaction`.
   */
  readonly execute: (statement: Statement) => Promise<number>;
  /** Whether another role can log in there with this password. */
  readonly canLogIn: (user: string, password: string) => Promise<boolean>;
}

/** Parsed once a connection, by its name. */
export type Statement = Readonly<Required<Pick<pg.QueryConfig<unknown[]>, "name" | "text" | "values">>>;

const CONNECT_TIMEOUT_MS = 5_000;
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
    stream: () => new NonThrowingSocket(),
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
    // COPY streams have no client-side timeout of their own: a silent network would hold them for ever.
    const stream = (session as unknown as { connection?: { stream?: Socket } }).connection?.stream;
    const deadline = setTimeout(() => stream?.destroy(new ResponseTimeout("no answer in time")), deadlineMs);
    try {
      // Several statements in one text give several results, which the driver's types do not know.
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
