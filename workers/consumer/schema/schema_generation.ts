/** The schema's generation fences older programs: a breaking migration stops those that are running. */
import { MIGRATIONS } from "../../../migrations/mod.ts";
import { PipelineError } from "../../_shared/errors.ts";
import type { Database } from "../../_shared/postgres.ts";

/** The version of the newest breaking migration that this program knows. */
export const GENERATION = Math.max(...MIGRATIONS.map(({ version, breaking }) => breaking ? version : 0));

/** @throws PipelineError `schema_too_new` when the schema's generation is not the program's */
export function requireGeneration(found: number): void {
  if (found === GENERATION) return;
  throw new PipelineError(
    "schema_too_new",
    `Cannot write to the database: its schema has generation ${found}, expected ${GENERATION}, that of this program; ` +
      (found > GENERATION
        ? "it was migrated by a newer release: start that one"
        : "an older copy of it was restored: start this program again, which migrates it"),
  );
}

/** Asks for the generation, so that a program stops that has nothing to write. @throws as {@link requireGeneration} */
export async function askGeneration(database: Database): Promise<void> {
  const [row] = await database.query<{ found: number }>("select public.schema_generation() as found");
  if (row !== undefined) requireGeneration(row.found);
}
