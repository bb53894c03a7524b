/** The first migration of a later release, made up: it changes a filled table and derives another one from its rows. */
import { type Migration, MIGRATIONS } from "../../migrations/mod.ts";

const version = MIGRATIONS.length + 1;

export const NEXT_MIGRATION: Migration = {
  version,
  name: `${String(version).padStart(4, "0")}_add_first_readings`,
  // Locked once and for all, as strong as it is needed: a lock that is made stronger later deadlocks with a writer.
  sql: `
    lock table public.heartbeats in access exclusive mode;
    alter table public.heartbeats add column received_at timestamptz;
    create table public.customer_first (customer_id text collate "C" primary key, ts timestamptz not null);
    insert into public.customer_first select customer_id, min(ts) from public.heartbeats group by customer_id;`,
  breaking: true,
};
