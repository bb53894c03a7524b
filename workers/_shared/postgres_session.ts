/**
 * Checks and prepares a new connection. A pooler in transaction or statement mode gives each transaction any free session. Then
 * limits get lost or apply to other programs, and prepared statements collide.
 */
import { Socket } from "node:net";
// @ts-types="@types/pg"
import pg from "pg";
import type { SessionAttributes } from "./database_url.ts";
import { PipelineError } from "./errors.ts";
import { KEEP_SESSIONS, sqlState } from "./postgres_errors.ts";

/** If other programs use the pooler, chance decides which session is free, so one round can miss the change. */
const CHECK_ROUNDS = 5;
const ANSWER_WITHIN_MS = 5_000;

/** @throws PipelineError `database_unfit` if two connections share a session, or the session of one changes */
export async function requireOwnSession(client: pg.ClientBase, options: pg.ClientConfig, target: string) {
  const first = await sessionOf(client);
  // On a direct connection, this is the server's process id. A pooler invents one, because it assigns a session later.
  if (first === (client as unknown as { processID: number | null }).processID) return;
  const other = new pg.Client({ ...options, query_timeout: ANSWER_WITHIN_MS });
  other.on("error", () => {});
  try {
    await other.connect();
    for (let round = 0; round < CHECK_ROUNDS; round++) {
      const others = await sessionOf(other);
      // Two queries, because a pooler that alternates between two sessions gives every second query the same one.
      const own = [await sessionOf(client), await sessionOf(client)];
      if (others === first || own.some((pid) => pid !== first)) {
        const why =
          `a pooler in transaction mode changes the session between two transactions; ${KEEP_SESSIONS}`;
        throw new PipelineError("database_unfit", `Cannot use the database at ${target}: ${why}`);
      }
    }
  } catch (error) {
    // Another failure proves nothing: a pooler in session mode may have no second session to give.
    if (error instanceof PipelineError) throw error;
  } finally {
    await other.end().catch(() => {});
  }
}

async function sessionOf(client: pg.ClientBase): Promise<number | undefined> {
  return (await client.query<{ pid: number }>("select pg_backend_pid() as pid")).rows[0]?.pid;
}

/** @throws an error with the SQLSTATE of a read-only server if the session lacks what target_session_attrs asks for */
export async function requireAttributes(client: pg.ClientBase, wanted: SessionAttributes): Promise<void> {
  if (wanted === "any") return;
  const { rows: [session] } = await client.query<{ standby: boolean; readonly: boolean }>(
    "select pg_is_in_recovery() as standby, current_setting('transaction_read_only')::boolean as readonly",
  );
  if (session?.standby === false && (wanted === "primary" || !session.readonly)) return;
  const error = new Error(`the session is read-only, target_session_attrs asks for ${wanted}`);
  throw Object.assign(error, { code: "25006" });
}

export async function canLogIn(options: pg.ClientConfig): Promise<boolean> {
  const client = new pg.Client(options);
  client.on("error", () => {});
  try {
    await client.connect();
    return true;
  } catch (error) {
    const state = sqlState(error);
    if (state === undefined) throw error;
    // The password is right, but the role has no right to this database (42501), or too many connections (53300).
    return state === "42501" || state === "53300";
  } finally {
    await client.end().catch(() => {});
  }
}

/** The server's own limits. They also end the transaction of a consumer that is frozen. */
export type SessionLimits = Readonly<ReturnType<typeof sessionLimits>>;

/** With 5 s to connect and 3 s for the network, an attempt ends before liveness fails after 30 s. */
const MAX_TRANSACTION_MS = 20_000;

/** Well below the group's session timeout, because a frozen owner's locks must be gone before the new owner needs them. */
export function sessionLimits(groupSessionTimeoutMs: number) {
  const transactionMs = Math.min(MAX_TRANSACTION_MS, Math.floor(groupSessionTimeoutMs * 0.65));
  return {
    transactionMs,
    statementMs: Math.floor(transactionMs * 0.75),
    lockMs: Math.floor(transactionMs * 0.5),
    idleInTransactionMs: Math.floor(transactionMs * 0.4),
  };
}

/** Also sets the formats in which instants and doubles are read, because the server's defaults may differ. */
export async function applyLimits(
  client: pg.ClientBase,
  limits: SessionLimits,
  settings: Readonly<Record<string, string>> = {},
): Promise<void> {
  await client.query(
    `select set_config('statement_timeout', $1, false),
            set_config('lock_timeout', $2, false),
            set_config('idle_in_transaction_session_timeout', $3, false),
            set_config('timezone', 'UTC', false),
            set_config('extra_float_digits', '1', false),
            case when current_setting('server_version_num')::int >= 170000
                 then set_config('transaction_timeout', $4, false) end,
            (select count(set_config(key, value, false)) from json_each_text($5))`,
    [
      ...[limits.statementMs, limits.lockMs, limits.idleInTransactionMs, limits.transactionMs].map(String),
      JSON.stringify(settings),
    ],
  );
}

/** Emits errors that connect() throws, such as a missing permission. Otherwise the pool would wait for ever when it closes. */
export class NonThrowingSocket extends Socket {
  override connect(...to: unknown[]): this {
    try {
      return Reflect.apply(super.connect, this, to);
    } catch (error) {
      return this.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
