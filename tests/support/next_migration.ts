import { type Migration, MIGRATIONS } from "../../migrations/mod.ts";

// The SQL takes its strongest lock first, because upgrading a lock later can cause a deadlock with a writer.
const version = MIGRATIONS.length + 1;

/** A breaking migration of an imaginary later release. It alters a filled table and derives another table from its rows. */
export const NEXT_MIGRATION: Migration = {
  version,
  name: `${String(version).padStart(4, "0")}_add_first_readings`,
  sql: `
    lock table public.heartbeats in access exclusive mode;
    alter table public.heartbeats add column received_at timestamptz;
    create table public.customer_first (customer_id text collate "C" primary key, ts timestamptz not null);
    insert into public.customer_first select customer_id, min(ts) from public.heartbeats group by customer_id;`,
  breaking: true,
};
