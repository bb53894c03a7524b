/** Creates the roles besides the owner: a writer that cannot change the schema, and a reader. */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import { PipelineError } from "../../_shared/errors.ts";
import { optional, secret } from "../../_shared/env.ts";
import { type Database, databaseFailure, type Session, sqlState } from "../../_shared/postgres.ts";
import { LOCK_SCHEMA } from "./migrate.ts";

const PERMISSION_DENIED = "42501";

const PASSWORD = optional(secret({
  // SASLprep and URLs do not change these characters.
  expected: "8 to 128 letters, digits or any of - . _ ~, so that it can stand in a URL",
  pattern: /^[A-Za-z0-9._~-]{8,128}$/,
}));

export const ROLE_SETTINGS = { HEARTBEAT_WRITER_PASSWORD: PASSWORD, HEARTBEAT_READER_PASSWORD: PASSWORD };

type Role = { name: string; password: string; grants: string[] };

/** No right for DDL: functions that run as the owner create and drop day partitions. */
const WRITER_GRANTS = [
  "grant connect on database %database% to heartbeat_writer",
  "grant usage on schema public to heartbeat_writer",
  "grant select on public.schema_migrations, public.heartbeat_retention to heartbeat_writer",
  "grant select, insert on public.heartbeats to heartbeat_writer",
  // A rebuild locks heartbeats_default, so that no partition is attached or dropped.
  "grant select on public.heartbeats_default, public.rollup_lag to heartbeat_writer",
  "grant select, insert, delete on public.ingest_changes to heartbeat_writer",
  "grant select, update on public.rollup to heartbeat_writer",
  `grant select, insert, update, delete on public.heartbeats_1m, public.customer_latest, public.rollup_positions,
         public.consumer_status to heartbeat_writer`,
  "grant select, insert, update on public.ingest_offsets to heartbeat_writer",
  "grant select, insert, update on public.heartbeat_retention_bound to heartbeat_writer",
  "grant insert on public.heartbeat_rejects, public.ingest_gaps to heartbeat_writer",
  // The writer empties old rejects, but cannot read their bytes.
  `grant select (ledger_id, kafka_offset, rejected_at, emptied_at), update (key, payload, detail, emptied_at)
      on public.heartbeat_rejects to heartbeat_writer`,
  `grant execute on function public.ensure_heartbeat_partition(regclass, timestamptz),
         public.heartbeats_without_partition(regclass),
         public.drop_old_heartbeat_partition(regclass, timestamptz),
         public.delete_old_heartbeats(regclass, timestamptz, bigint) to heartbeat_writer`,
];

const READER_GRANTS = [
  "grant connect on database %database% to heartbeat_reader",
  "grant usage on schema public to heartbeat_reader",
  // Later day partitions need no grant: a query of the parent table needs only a right to the parent.
  "grant select on all tables in schema public to heartbeat_reader",
  "alter role heartbeat_reader set default_transaction_read_only = on",
  "alter role heartbeat_reader set statement_timeout = '30s'",
  // An open transaction blocks the creation and the removal of partitions.
  "alter role heartbeat_reader set idle_in_transaction_session_timeout = '1min'",
  // Enough for two Grafana servers. The writers need connections, too.
  "alter role heartbeat_reader connection limit 20",
];

/** Revokes only attributes that the role has: a user without an attribute may not even revoke it. */
const EXCESS = `
  select format('alter role %I %s', rolname, attribute.taken) as statement
    from pg_roles
   cross join lateral (values (rolsuper, 'nosuperuser'), (rolcreatedb, 'nocreatedb'), (rolcreaterole, 'nocreaterole'),
                              (rolreplication, 'noreplication'), (rolbypassrls, 'nobypassrls')) attribute (given, taken)
   where rolname = $1 and attribute.given
   union all
  select format('revoke %I from %I granted by %I', pg_get_userbyid(roleid), $1::text, pg_get_userbyid(grantor))
    from pg_auth_members
   where member = $1::text::regrole
   union all
  select format('revoke create on schema public from public, %I', $1::text)
   where has_schema_privilege($1::text, 'public', 'create')`;

/**
 * Creates or updates the roles that have a password, and returns their names. Revokes all other rights, attributes and
 * memberships of these roles, and the rights of PUBLIC in this database.
 *
 * @throws PipelineError when the user may not do this, or a role has another password and is used in another database
 */
export async function makeRoles(
  database: Database,
  passwords: Readonly<Record<"writer" | "reader", string | undefined>>,
): Promise<string[]> {
  const roles = [
    { name: "heartbeat_writer", password: passwords.writer, grants: WRITER_GRANTS },
    { name: "heartbeat_reader", password: passwords.reader, grants: READER_GRANTS },
  ].filter((role): role is Role => role.password !== undefined);
  if (roles.length === 0) return [];
  await database.transaction(async (session) => {
    await session.query(LOCK_SCHEMA);
    const [name = ""] = await firstColumn(session, "select quote_ident(current_database())");
    await session.query(
      `revoke all on database ${name} from public;
       revoke create on schema public from public;
       revoke all on all tables in schema public from public`,
    );
    for (const role of roles) await makeRole(session, role, name, database);
  }).catch((error) => {
    throw databaseFailure("make the roles", database.target, error);
  });
  return roles.map(({ name }) => name);
}

async function makeRole(session: Session, role: Role, database: string, server: Database): Promise<void> {
  const { name, password, grants } = role;
  const isNew = (await session.query("select from pg_roles where rolname = $1", [name])).rowCount === 0;
  // A role belongs to the whole server: a new password would lock out the users of its other databases.
  const others = isNew ? [] : await firstColumn(session, OTHER_DATABASES, name);
  const keeps = others.length > 0 && await server.canLogIn(name, password);
  if (others.length > 0 && !keeps) {
    throw new PipelineError(
      "database_refused",
      `Cannot make the roles: ${name} exists with another password and is used by ` +
        `database ${others.join(", ")} of the same server; set ${name.toUpperCase()}_PASSWORD to the ` +
        "password that it has there, or use another server for this database; to change the password for " +
        `all of them, run \\password ${name} in psql and set the new one everywhere`,
    );
  }
  const credentials = keeps ? "" : `password ${session.escapeLiteral(scramVerifier(password))}`;
  await session.query(`${isNew ? "create" : "alter"} role ${name} login ${credentials}`);
  // A role can change the settings with which its own sessions begin, so they are reset, too.
  await session.query(
    `alter role ${name} reset all;
     alter role ${name} in database ${database} reset all;
     revoke all on all tables in schema public from ${name};
     revoke all on all sequences in schema public from ${name};
     revoke all on all functions in schema public from ${name};
     revoke all on schema public from ${name};
     revoke all on database ${database} from ${name}`,
  );
  await takeExcess(session, name);
  for (const grant of grants) await session.query(grant.replace("%database%", database));
}

async function takeExcess(session: Session, role: string): Promise<void> {
  await session.query("savepoint excess");
  try {
    for (const statement of await firstColumn(session, EXCESS, role)) await session.query(statement);
  } catch (error) {
    if (sqlState(error) !== PERMISSION_DENIED) throw error;
    await session.query("rollback to savepoint excess");
  }
  // PostgreSQL only warns if it cannot revoke a right, such as one that another user granted.
  const left = await firstColumn(session, EXCESS, role);
  if (left.length === 0) return;
  throw new PipelineError(
    "database_refused",
    `Cannot make the roles: ${role} was given more than it should have, and the user in DATABASE_URL may not take it ` +
      `away; do it as a superuser: ${left.join("; ")}`,
  );
}

const OTHER_DATABASES = `
  select distinct datname
    from pg_shdepend
    join pg_database on pg_database.oid = case when classid = 'pg_database'::regclass then objid else dbid end
   where refclassid = 'pg_authid'::regclass
     and refobjid = $1::text::regrole
     and datname <> current_database()
   order by 1`;

async function firstColumn(session: Session, sql: string, ...parameters: string[]): Promise<string[]> {
  const { rows } = await session.query<string[]>({ text: sql, values: parameters, rowMode: "array" });
  return rows.map(([value = ""]) => value);
}

/** RFC 5803. The server could log a statement, so no statement has the password itself. */
function scramVerifier(password: string): string {
  const [salt, iterations] = [randomBytes(16), 4096];
  const salted = pbkdf2Sync(password, salt, iterations, 32, "sha256");
  const keyed = (text: string) => createHmac("sha256", salted).update(text).digest();
  const storedKey = createHash("sha256").update(keyed("Client Key")).digest("base64");
  const serverKey = keyed("Server Key").toString("base64");
  return `SCRAM-SHA-256$${iterations}:${salt.toString("base64")}$${storedKey}:${serverKey}`;
}
