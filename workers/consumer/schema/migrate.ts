/**
 * Folder `schema`: migrates the schema and creates the roles before the consumer runs, and fences off programs that are older
 * than the schema.
 *
 * This file: applies each migration once, even if several programs start together. A breaking migration raises the schema
 * generation, and programs with an older one can no longer write.
 */
import { createHash } from "node:crypto";
import { type Migration, MIGRATIONS } from "../../../migrations/mod.ts";
import { retryUntilAborted } from "../../_shared/backoff.ts";
import { PipelineError } from "../../_shared/errors.ts";
import { type Database, databaseFailure, openDatabase } from "../../_shared/postgres.ts";

/** Lets one program migrate at a time. Only the owner may take this lock, and others can still read the table. */
export const LOCK_SCHEMA = "lock table public.schema_migrations in share row exclusive mode";

/** @throws PipelineError for a refused login, a missing right, or a schema that does not fit: waiting cannot cure these */
export async function migrateWhenReachable(
  url: string,
  onFailure: (failure: PipelineError) => void,
  { signal }: { signal: AbortSignal },
): Promise<string[] | undefined> {
  await using database = openDatabase(url, {
    connections: 1,
    // A migration may rewrite a large table.
    limits: { statementMs: 3_600_000, lockMs: 60_000, idleInTransactionMs: 60_000, transactionMs: 3_600_000 },
    name: "heartbeat-migrations",
  });
  const failed = (error: unknown) => {
    if (error instanceof PipelineError) throw error;
    const failure = databaseFailure("migrate the schema", database.target, error);
    if (failure.code === "database_refused") throw failure;
    onFailure(failure);
  };
  return await retryUntilAborted(() => migrate(database, MIGRATIONS), failed, { signal });
}

/**
 * Applies the missing migrations in one transaction, and returns their names.
 *
 * @throws PipelineError `migration_changed`, `schema_too_new`, or `database_unfit` (not UTF-8, or a schema from before 0.1.0)
 */
export async function migrate(database: Database, migrations: readonly Migration[]): Promise<string[]> {
  await requireUtf8(database);
  // If nothing is missing, the user needs no right to create tables.
  if (await exists(database.query, APPLIED) && (await pendingOf(database, migrations)).length === 0) {
    return [];
  }
  return await database.transaction(async (session) => {
    const query: Query = async (sql) => (await session.query(sql)).rows;
    if (!await exists(query, APPLIED)) {
      // Used only until the table exists, because any user can take and keep an advisory lock. The number is "hbmigrat" as bytes.
      await session.query("select pg_advisory_xact_lock(7521419864366932340)");
      await session.query(
        `create table if not exists public.schema_migrations (
           version    integer     primary key,
           name       text        not null,
           checksum   text        not null,
           breaking   boolean     not null,
           applied_at timestamptz not null default now()
         )`,
      );
    }
    await session.query(LOCK_SCHEMA);
    const pending = await pendingOf({ query, target: database.target }, migrations);
    const breaks = pending.some(({ breaking }) => breaking);
    // Waits for batches in flight and blocks new ones. Every writer locks this table first, so no deadlock is possible.
    if (breaks && await exists(query, "to_regclass('public.ingest_offsets')")) {
      await session.query("lock table public.ingest_offsets in exclusive mode");
    }
    for (const migration of pending) {
      await session.query(migration.sql);
      await session.query(
        "insert into public.schema_migrations (version, name, checksum, breaking) values ($1, $2, $3, $4)",
        [migration.version, migration.name, checksum(migration.sql), migration.breaking],
      );
    }
    // Fences off programs that do not know these migrations.
    if (breaks && await exists(query, "to_regprocedure('public.schema_generation()')")) {
      await session.query("update public.ingest_offsets set schema_generation = public.schema_generation()");
    }
    return pending.map(({ name }) => name);
  });
}

/** With another encoding, PostgreSQL could not store some ids, not even in a reject. */
async function requireUtf8(database: Database): Promise<void> {
  const [row] = await database.query<{ server_encoding: string }>("show server_encoding");
  if (row?.server_encoding === "UTF8") return;
  throw new PipelineError(
    "database_unfit",
    `Cannot use the database at ${database.target}: its encoding is ${row?.server_encoding}, expected UTF8; ` +
      "create one with: create database heartbeat_db encoding 'UTF8' template template0",
  );
}

type Query = Database["query"];

const APPLIED = "to_regclass('public.schema_migrations')";

async function exists(query: Query, object: string): Promise<boolean> {
  const [row] = await query<{ exists: boolean }>(`select ${object} is not null as exists`);
  return row?.exists === true;
}

async function pendingOf(
  { query, target }: Pick<Database, "query" | "target">,
  migrations: readonly Migration[],
): Promise<Migration[]> {
  const pending = new Map(migrations.map((migration) => [migration.version, migration]));
  const applied = await query<{ version: number; name: string; checksum: string; breaking: boolean }>(
    "select version, name, checksum, breaking from public.schema_migrations order by version",
  );
  for (const row of applied) {
    const migration = pending.get(row.version);
    pending.delete(row.version);
    if (migration === undefined) {
      if (!row.breaking) continue;
      throw new PipelineError(
        "schema_too_new",
        `Cannot use the database: its schema has ${row.name}, expected at most version ${migrations.length}; ` +
          "start the newer release that made it",
      );
    }
    const [found, expected] = [row.checksum, checksum(migration.sql)];
    if (found === expected) continue;
    // The first migration changed until release 0.1.0, also under its present name.
    if (migration.version === 1) {
      throw new PipelineError(
        "database_unfit",
        `Cannot use the database at ${target}: its schema is older than release 0.1.0, expected an empty database or the ` +
          "schema of a release; name an empty database in DATABASE_URL (with `deno task up`: delete its data folder, or " +
          "choose another one with --home), and the consumer reads again what Kafka still has",
      );
    }
    throw new PipelineError(
      "migration_changed",
      `Cannot use the database: ${row.name} was applied with checksum ${found.slice(0, 12)}, expected ` +
        `${expected.slice(0, 12)}; start the release that applied it, or restore the file`,
    );
  }
  return [...pending.values()];
}

/** SHA-256, the same for both kinds of line endings. */
export function checksum(sql: string): string {
  return createHash("sha256").update(sql.replaceAll("\r\n", "\n")).digest("hex");
}

export const SCHEMA_GENERATION = Math.max(
  ...MIGRATIONS.map(({ version, breaking }) => breaking ? version : 0),
);

/** @throws PipelineError `schema_too_new` when the schema has another generation than this program */
export function requireSchemaGeneration(found: number): void {
  if (found === SCHEMA_GENERATION) return;
  throw new PipelineError(
    "schema_too_new",
    `Cannot write to the database: its schema has generation ${found}, expected ${SCHEMA_GENERATION}, that of this program; ` +
      (found > SCHEMA_GENERATION
        ? "it was migrated by a newer release: start that one"
        : "an older copy of it was restored: start this program again, which migrates it"),
  );
}

/** Like {@link requireSchemaGeneration}, for a program that writes nothing at the moment. */
export async function checkSchemaGeneration(database: Database): Promise<void> {
  const [row] = await database.query<{ found: number }>("select public.schema_generation() as found");
  if (row !== undefined) requireSchemaGeneration(row.found);
}
