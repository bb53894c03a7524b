import { type Migration, MIGRATIONS } from "../../../migrations/mod.ts";
import { NEXT_MIGRATION } from "../next_migration.ts";

// Preloaded into a worker, this module turns it into a later release that has one more migration, a breaking one.
(MIGRATIONS as Migration[]).push(NEXT_MIGRATION);
