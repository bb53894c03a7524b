/**
 * Folder `schema`: brings the database's schema and roles to what this program expects, and stops a program that is older
 * than the schema. It never reads or writes readings, and it does no DDL while the consumer consumes.
 *
 * This file: brings the schema to the version this program knows: once, whoever else starts at the same moment.
 */
import { createHash } from "node:crypto";
import type { Migration } from "../../../migrations/mod.ts";
import { insist } from "../../_shared/backoff.ts";
import { PipelineError } from "../../_shared/errors.ts";
import {
  type Database,
  databaseFailure,
  openDatabase,
  type Session,
  type SessionLimits,
} from "../../_shared/postgres.ts";

/** A migration may rewrite a large table, so its session gets more time than one that writes batches. */
const MIGRATION_LIMITS: SessionLimits = {
  statementMs: 3_600_000,
  lockMs: 60_000,
  idleInTransactionMs: 60_000,
  transactionMs: 3_600_000,
};

/** Any constant that nothing else in the database uses for advisory locks: "hbmigrat" as bytes. */
const FIRST_LOCK = "7521419864366932340";

const LEDGER = `
  create table if not exists public.schema_migrations (
    version    integer     primary key,
    name       text        not null,
    checksum   text        not null,
    breaking   boolean     not null,
    applied_at timestamptz not null default now()
  )`;

/**
 * Migrates as soon as the database can be reached.
 *
 * @param onFailure the database is away; it is tried again
 * @returns the names of the migrations that were applied now; undefined when `signal` aborted first
 * @throws PipelineError for what waiting does not cure: a refused login, a missing right, a schema that does not fit
 */
export async function migrateWhenReachable(
  url: string,
  migrations: readonly Migration[],
  onFailure: (failure: PipelineError) => void,
  { signal }: { signal: AbortSignal },
): Promise<string[] | undefined> {
  const options = { connections: 1, limits: MIGRATION_LIMITS, name: "heartbeat-migrations" };
  await using database = openDatabase(url, options);
  const failed = (error: unknown) => {
    if (error instanceof PipelineError) throw error;
    const failure = databaseFailure("migrate the schema", database.target, error);
    if (failure.code === "database_refused") throw failure;
    onFailure(failure);
  };
  return await insist(() => migrate(database, migrations), failed, { signal });
}

type Applied = { version: number; name: string; checksum: string; breaking: boolean };

/**
 * Applies what is missing in one transaction under a lock. What is breaking moves the schema's generation, which fences
 * programs that are running.
 *
 * @returns the names of the migrations that were applied now
 * @throws PipelineError `migration_changed` when an applied migration's text is another one than ours
 * @throws PipelineError `database_unfit` when the database's encoding is not UTF-8
 * @throws PipelineError `schema_too_new` when the database has a breaking migration that we do not know
 */
export async function migrate(database: Database, migrations: readonly Migration[]): Promise<string[]> {
  await requireUtf8(database);
  // Without anything to do no right to create tables is needed, so a writer without it can start.
  if (await isCurrent(database, migrations)) return [];
  return await database.transaction(async (session) => {
    const query: Query = async (sql) => (await session.query(sql)).rows;
    if (!await exists(query, "to_regclass('public.schema_migrations')")) {
      // An advisory lock is anybody's who may log in, and may be kept: it serves only while there is nothing else to lock.
      await session.query("select pg_advisory_xact_lock($1::bigint)", [FIRST_LOCK]);
      await session.query(LEDGER);
    }
    await lockSchema(session);
    const pending = pendingMigrations(await applied(query), migrations);
    const breaks = pending.some(({ breaking }) => breaking);
    // Waits for the batches that are being written, and holds back all others. First, since each writer locks the offsets
    // before any other table: so it cannot deadlock with one.
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
    // From here on programs that do not know these migrations write nothing.
    if (breaks && await exists(query, "to_regprocedure('public.schema_generation()')")) {
      await session.query("update public.ingest_offsets set schema_generation = public.schema_generation()");
    }
    return pending.map(({ name }) => name);
  });
}

/** One at a time, to the transaction's end: in this mode nobody but the owner may lock the table, and all may read it. */
export async function lockSchema(session: Session): Promise<void> {
  await session.query("lock table public.schema_migrations in share row exclusive mode");
}

/** Customers and details are any Unicode: in another encoding a good record could not be stored, nor a bad one's reject. */
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

async function isCurrent({ query }: Database, migrations: readonly Migration[]): Promise<boolean> {
  return await exists(query, "to_regclass('public.schema_migrations')") &&
    pendingMigrations(await applied(query), migrations).length === 0;
}

/** @param object an expression that is null when there is none */
async function exists(query: Query, object: string): Promise<boolean> {
  const [row] = await query<{ exists: boolean }>(`select ${object} is not null as exists`);
  return row?.exists === true;
}

function applied(query: Query): Promise<Applied[]> {
  return query("select version, name, checksum, breaking from public.schema_migrations order by version");
}

/** What is still to be applied, after comparing what was. */
function pendingMigrations(applied: readonly Applied[], migrations: readonly Migration[]): Migration[] {
  const known = new Map(migrations.map((migration) => [migration.version, migration]));
  for (const row of applied) {
    const migration = known.get(row.version);
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
    throw new PipelineError(
      "migration_changed",
      `Cannot use the database: ${row.name} was applied with checksum ${found.slice(0, 12)}, expected ` +
        `${expected.slice(0, 12)}; start the release that applied it, or restore the file`,
    );
  }
  const done = new Set(applied.map(({ version }) => version));
  return migrations.filter(({ version }) => !done.has(version));
}

/** Hexadecimal SHA-256, the same on a checkout with other line endings. */
export function checksum(sql: string): string {
  return createHash("sha256").update(sql.replaceAll("\r\n", "\n")).digest("hex");
}
