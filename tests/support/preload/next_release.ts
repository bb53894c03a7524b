import { type Migration, MIGRATIONS } from "../../../migrations/mod.ts";
import { NEXT_MIGRATION } from "../next_migration.ts";

// Preloaded into a worker: turns it into a later release with one more migration, which is breaking.
(MIGRATIONS as Migration[]).push(NEXT_MIGRATION);
