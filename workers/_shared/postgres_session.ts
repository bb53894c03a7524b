/**
 * Makes a connection fit for use, and checks it. A pooler in transaction or statement mode hands each transaction to
 * whichever session is free, so that limits get lost or reach other programs, and prepared statements collide.
 */
import { Socket } from "node:net";
// @ts-types="@types/pg"
import pg from "pg";
import type { SessionAttributes } from "./database_url.ts";
import { PipelineError } from "./errors.ts";
import { KEEP_SESSIONS, sqlState } from "./postgres_errors.ts";

/** Enough when other programs use the same pooler, too: one round tells when they do not. */
const ROUNDS = 5;
const ANSWER_WITHIN_MS = 5_000;

/**
 * Looks behind a connection that was just made, before anything is set in its session. Two open connections with one
 * session prove transaction pooling, and so does one connection whose session changes. Without a pooler, which the
 * server's number for the connection shows, no second connection is made.
 *
 * @throws PipelineError `database_unfit` when the connection does not keep its session
 */
export async function requireOwnSession(client: pg.ClientBase, options: pg.ClientConfig, target: string) {
  const first = await sessionOf(client);
  // A pooler makes up a number of its own, for it knows no session yet when it lets a client in.
  if (first === (client as unknown as { processID: number | null }).processID) return;
  const other = new pg.Client({ ...options, query_timeout: ANSWER_WITHIN_MS });
  // A connection that breaks is told by the query, too.
  other.on("error", () => {});
  try {
    await other.connect();
    for (let round = 0; round < ROUNDS; round++) {
      const others = await sessionOf(other);
      // Twice: a pooler that takes turns between two sessions would give this connection the same one each time.
      const ours = [await sessionOf(client), await sessionOf(client)];
      if (others === first || ours.some((one) => one !== first)) {
        const why =
          `a pooler in transaction mode changes the session between two transactions; ${KEEP_SESSIONS}`;
        throw new PipelineError("database_unfit", `Cannot use the database at ${target}: ${why}`);
      }
    }
  } catch (error) {
    // A pooler that keeps sessions may have no more than this one to give. That proves nothing.
    if (error instanceof PipelineError) throw error;
  } finally {
    await other.end().catch(() => {});
  }
}

async function sessionOf(client: pg.ClientBase): Promise<number | undefined> {
  return (await client.query<{ pid: number }>("select pg_backend_pid() as pid")).rows[0]?.pid;
}

/** @throws like a server that is read-only when the session is not what target_session_attrs asks for */
export async function requireAttributes(client: pg.ClientBase, wanted: SessionAttributes): Promise<void> {
  if (wanted === "any") return;
  const { rows: [is] } = await client.query<{ standby: boolean; readonly: boolean }>(
    "select pg_is_in_recovery() as standby, current_setting('transaction_read_only')::boolean as readonly",
  );
  if (is?.standby === false && (wanted === "primary" || !is.readonly)) return;
  const error = new Error(`the session is read-only, target_session_attrs asks for ${wanted}`);
  throw Object.assign(error, { code: "25006" });
}

/** Whether this user and password can log in. @throws what keeps the server from answering */
export async function canLogIn(options: pg.ClientConfig): Promise<boolean> {
  const client = new pg.Client(options);
  client.on("error", () => {});
  try {
    await client.connect();
    return true;
  } catch (error) {
    const state = sqlState(error);
    if (state === undefined) throw error;
    // The role is let in and then sent away: it has no right to this database, or too many sessions.
    return state === "42501" || state === "53300";
  } finally {
    await client.end().catch(() => {});
  }
}

/** How long PostgreSQL lets our session keep anything; it ends what takes longer, also when we are frozen. */
export type SessionLimits = Readonly<ReturnType<typeof sessionLimits>>;

/** However patient the group is, an attempt ends within the 30 s after which a silent loop counts as hung. */
const MAX_TRANSACTION_MS = 20_000;

/** Well under the group's session timeout, so that a frozen owner's locks are gone before its successor needs them. */
export function sessionLimits(groupSessionTimeoutMs: number) {
  const transactionMs = Math.min(MAX_TRANSACTION_MS, Math.floor(groupSessionTimeoutMs * 0.65));
  return {
    transactionMs,
    statementMs: Math.floor(transactionMs * 0.75),
    lockMs: Math.floor(transactionMs * 0.5),
    idleInTransactionMs: Math.floor(transactionMs * 0.4),
  };
}

/** Sets the limits, and the formats that decide how instants and doubles are read: a server may have any of its own. */
export async function applyLimits(client: pg.ClientBase, limits: SessionLimits): Promise<void> {
  await client.query(
    `select set_config('statement_timeout', $1, false),
            set_config('lock_timeout', $2, false),
            set_config('idle_in_transaction_session_timeout', $3, false),
            set_config('timezone', 'UTC', false),
            set_config('extra_float_digits', '1', false),
            case when current_setting('server_version_num')::int >= 170000
                 then set_config('transaction_timeout', $4, false) end`,
    [limits.statementMs, limits.lockMs, limits.idleInTransactionMs, limits.transactionMs].map(String),
  );
}

/**
 * A socket whose every failure to connect is an event: the pool would count a connection whose connect() threw, as for a
 * missing right, as open for ever, and wait for it when the program ends.
 */
export class NonThrowingSocket extends Socket {
  override connect(...to: unknown[]): this {
    try {
      return Reflect.apply(super.connect, this, to);
    } catch (error) {
      return this.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
