/** Loaded into a worker before its own code: it is a later release then, with one more migration, which is breaking. */
import { type Migration, MIGRATIONS } from "../../../migrations/mod.ts";

const version = MIGRATIONS.length + 1;
(MIGRATIONS as Migration[]).push({
  version,
  name: `${String(version).padStart(4, "0")}_break`,
  sql: "comment on table public.heartbeats is 'changed by the next release';",
  breaking: true,
});
