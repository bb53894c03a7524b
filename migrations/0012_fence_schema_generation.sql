-- 0012_fence_schema_generation
-- Why: a breaking migration did not stop an older program that was running. Every statement that moves an offset now also
--      requires the schema's generation in the offset's row; whoever applies a breaking migration changes it in all rows.
-- Locks: ingest_offsets exclusively for a moment; no rewrite.

-- The generation is the version of the newest breaking migration.
create function public.schema_generation()
returns integer
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select coalesce(max(version), 0) from public.schema_migrations where breaking;
end;

alter table public.ingest_offsets add column schema_generation integer not null default public.schema_generation();

comment on column public.ingest_offsets.schema_generation is
  'The schema''s generation, the same in all rows. A program of another generation moves no offset.';
