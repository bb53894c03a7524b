/** The database for programs that only read. Their sessions cannot write, and their login must not be able to. */
import { UsageError } from "./errors.ts";
import { type Database, databaseFailure, openDatabase, type Row, type SessionLimits } from "./postgres.ts";

const READER_LIMITS: SessionLimits = {
  statementMs: 5_000,
  lockMs: 2_000,
  idleInTransactionMs: 5_000,
  // With the time for the network, a page learns within 9 s that the server is frozen, and a stop takes less than its 10 s.
  transactionMs: 6_000,
};
const SESSION_SETTINGS = {
  default_transaction_read_only: "on",
  // Compiling a query of 100 ms takes longer than running it.
  jit: "off",
  // A hash table of the latest readings of 100,000 customers stays in memory.
  work_mem: "32MB",
};

/**
 * Connects at the first use. All transactions are read-only.
 *
 * @throws UsageError if the URL, or a certificate that it names, is wrong
 */
export function openReader(
  url: string,
  { limits = READER_LIMITS, ...options }: { connections: number; name: string; limits?: SessionLimits },
): Database {
  return openDatabase(url, { ...options, limits, settings: SESSION_SETTINGS });
}

// Also checks the roles that the login may switch to. A superuser may do everything.
const MAY_WRITE = `
  select session_user as login,
         exists (select from pg_roles role
                  where pg_has_role(session_user, role.oid, 'member')
                    and (role.rolsuper or role.rolcreaterole or role.rolbypassrls
                         or exists (select from pg_class
                                     where relnamespace = 'public'::regnamespace
                                       and relkind in ('r', 'p')
                                       and (has_table_privilege(role.oid, pg_class.oid, 'delete, truncate')
                                            or has_any_column_privilege(role.oid, pg_class.oid, 'insert, update')))
                         or has_schema_privilege(role.oid, 'public', 'create')
                         or has_database_privilege(role.oid, current_database(), 'create'))) as may_write`;

/**
 * @param program its name in the message "Cannot start the PROGRAM"
 * @throws UsageError if the login may change data or the schema
 * @throws PipelineError if the database cannot be asked
 */
export async function requireReader(database: Database, program: string): Promise<void> {
  const [answer] = await database.query<Row & { login: string; may_write: boolean }>(MAY_WRITE)
    .catch((error) => {
      throw databaseFailure("ask for the rights of the login", database.target, error);
    });
  if (answer?.may_write === false) return;
  throw new UsageError(
    `Cannot start the ${program}: READER_DATABASE_URL or DATABASE_URL logs in as ${answer?.login}, which may change data, expected ` +
      "heartbeat_reader; `consume --migrate-only` with HEARTBEAT_READER_PASSWORD creates this role",
  );
}
