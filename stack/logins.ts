import { randomBytes } from "node:crypto";
import type { Postgres } from "./postgres/postgres.ts";
import { withClient } from "./postgres/postgres_client.ts";

/** The logins of this run on a PostgreSQL of this machine. */
export interface Logins {
  readonly writerUrl: string;
  /** By the names that addresses.env has. */
  readonly variables: Readonly<
    Record<
      "DATABASE_URL" | "HEARTBEAT_WRITER_PASSWORD" | "HEARTBEAT_READER_PASSWORD" | "READER_DATABASE_URL",
      string
    >
  >;
}

/** If a statement fails, the server must not log it, because it contains a password. */
const LOG_NO_STATEMENT = { options: "-c log_min_error_statement=panic" };

/**
 * Sets new random passwords for the writer and the reader. It also lets the owner of the database grant rights to them, which
 * `consume --migrate-only` does. The superuser sets the passwords, because the consumer does not change the password of a role
 * that has rights in another database of the server.
 */
export async function renewLogins(
  { superuserUrl, databaseUrl }: Pick<Postgres, "superuserUrl" | "databaseUrl">,
): Promise<Logins> {
  const passwords = { heartbeat_writer: newPassword(), heartbeat_reader: newPassword() };
  await withClient(superuserUrl, async (client) => {
    for (const [role, password] of Object.entries(passwords)) {
      const known = await client.query("select from pg_roles where rolname = $1", [role]);
      const verb = known.rowCount === 0 ? "create" : "alter";
      await client.query(`${verb} role ${role} login password '${password}'`);
    }
    await client.query(
      `alter role heartbeat_user createrole;
       grant heartbeat_writer, heartbeat_reader to heartbeat_user with admin true, inherit false, set false`,
    );
  }, LOG_NO_STATEMENT);
  const urlOf = (username: keyof typeof passwords) =>
    Object.assign(new URL(databaseUrl), { username, password: passwords[username] }).href;
  return {
    writerUrl: urlOf("heartbeat_writer"),
    variables: {
      DATABASE_URL: databaseUrl,
      HEARTBEAT_WRITER_PASSWORD: passwords.heartbeat_writer,
      HEARTBEAT_READER_PASSWORD: passwords.heartbeat_reader,
      READER_DATABASE_URL: urlOf("heartbeat_reader"),
    },
  };
}

/** 192 random bits, in characters that the consumer accepts in a password. */
function newPassword(): string {
  return randomBytes(24).toString("base64url");
}
