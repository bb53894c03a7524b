/** What a role was given beyond its rights in this database: attributes, other roles' rights, the schema. */
import { PipelineError } from "../../_shared/errors.ts";
import { type Session, sqlState } from "../../_shared/postgres.ts";

const PERMISSION_DENIED = "42501";

/** $1 is the role's name. An attribute that is not set is not named: who has it not may not even take it away. */
const ATTRIBUTES_AND_MEMBERSHIPS = `
  select format('alter role %I %s', rolname, attribute.taken) as statement
    from pg_roles
   cross join lateral (values (rolsuper, 'nosuperuser'), (rolcreatedb, 'nocreatedb'), (rolcreaterole, 'nocreaterole'),
                              (rolreplication, 'noreplication'), (rolbypassrls, 'nobypassrls')) attribute (given, taken)
   where rolname = $1 and attribute.given
   union all
  select format('revoke %I from %I granted by %I', pg_get_userbyid(roleid), $1::text, pg_get_userbyid(grantor))
    from pg_auth_members
   where member = $1::text::regrole`;

const EVERYTHING = `${ATTRIBUTES_AND_MEMBERSHIPS}
   union all
  select format('revoke create on schema public from public, %I', $1::text)
   where has_schema_privilege($1::text, 'public', 'create')`;

/**
 * Takes away what makes a role more than the rights that it is granted here.
 *
 * @throws PipelineError `database_refused` that names the statements for a superuser, when the user may not
 */
export async function takeExcess(session: Session, role: string): Promise<void> {
  await session.query("savepoint excess");
  try {
    for (const statement of await excess(session, ATTRIBUTES_AND_MEMBERSHIPS, role)) {
      await session.query(statement);
    }
  } catch (error) {
    if (sqlState(error) !== PERMISSION_DENIED) throw error;
    await session.query("rollback to savepoint excess");
  }
  // What is granted by somebody else, or on a schema that is not ours, stays with a warning and without an error.
  const left = await excess(session, EVERYTHING, role);
  if (left.length === 0) return;
  throw new PipelineError(
    "database_refused",
    `Cannot make the roles: ${role} was given more than it should have, and the user in DATABASE_URL may not take it ` +
      `away; do it as a superuser: ${left.join("; ")}`,
  );
}

async function excess(session: Session, sql: string, role: string): Promise<string[]> {
  const { rows } = await session.query<{ statement: string }>(sql, [role]);
  return rows.map(({ statement }) => statement);
}
