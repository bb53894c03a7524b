import { MIGRATIONS } from "../../migrations/mod.ts";
import { type Database, databaseFailure } from "../_shared/postgres.ts";

const SCHEMA_VERSION = `
  select coalesce(max(version), 0)::int as version
    from public.schema_migrations`;

/** @returns why the pages cannot be shown now; empty if they can */
export async function notReady(database: Database): Promise<string[]> {
  try {
    const [schema] = await database.query<{ version: number }>(SCHEMA_VERSION);
    const version = schema?.version ?? 0;
    if (version >= MIGRATIONS.length) return [];
    return [
      `database: the schema has version ${version}, expected ${MIGRATIONS.length}; run \`consume --migrate-only\``,
    ];
  } catch (error) {
    return [`database: ${databaseFailure("ask", database.target, error).message}`];
  }
}
