/** Loaded into a worker before its own code: it is a later release then, with one more migration, which is breaking. */
import { type Migration, MIGRATIONS } from "../../../migrations/mod.ts";
import { NEXT_MIGRATION } from "../next_migration.ts";

(MIGRATIONS as Migration[]).push(NEXT_MIGRATION);
