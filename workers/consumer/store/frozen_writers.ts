/** Ends the sessions of writers that froze in the middle of a COPY: the one place that PostgreSQL's timeouts do not reach. */
import { type Database, sqlState } from "../../_shared/postgres.ts";

const LOCK_NOT_AVAILABLE = "55P03";

/** Whether a write failed because somebody else kept a lock for too long. */
export function isLockTimeout(error: unknown): boolean {
  return sqlState(error) === LOCK_NOT_AVAILABLE;
}

/**
 * While a backend waits for the next bytes of a COPY it looks at no timeout, neither the statement's nor the
 * transaction's, so that an owner that is frozen there, or whose network went silent, would hold its locks until TCP
 * gives up, hours later. Whoever meets such a lock ends the session. Only sessions of our name and user are ended, and
 * only those which wait for their client in a statement that our own timeout would have ended.
 *
 * @returns how many were ended
 */
export async function endFrozenWriters(database: Database): Promise<number> {
  const ended = await database.query(
    `select pg_terminate_backend(pid)
       from pg_stat_activity
      where datname = current_database()
        and usename = current_user
        and application_name = current_setting('application_name')
        and state = 'active'
        and wait_event = 'ClientRead'
        and query_start < now() - current_setting('statement_timeout')::interval`,
  );
  return ended.length;
}
