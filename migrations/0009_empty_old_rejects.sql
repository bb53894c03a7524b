-- 0009_empty_old_rejects
-- Why: a reject keeps a customer's id and reading for ever. Its bytes can be emptied, while its row still accounts for the offset.
-- Locks: heartbeat_rejects exclusively, for as long as it takes to read it once.

alter table public.heartbeat_rejects
  add column emptied_at timestamptz,
  add constraint heartbeat_rejects_emptied
    check (emptied_at is null or (key is null and payload is null and detail = ''));

-- What is emptied stays in the table: without its own index each look for the next old ones would pass over all of it.
create index heartbeat_rejects_to_empty on public.heartbeat_rejects (rejected_at) where emptied_at is null;

comment on column public.heartbeat_rejects.payload is
  'The exact bytes; null for a tombstone, and for every record once emptied_at is set.';
comment on column public.heartbeat_rejects.emptied_at is
  'When key, payload and detail were emptied, because retention does not allow to keep them.';

-- A writer's role that was made before has what it needs, also when it is not made anew now.
do $$
begin
  if to_regrole('heartbeat_writer') is not null
     and has_table_privilege('heartbeat_writer', 'public.ingest_offsets', 'update') then
    grant select (ledger_id, kafka_offset, rejected_at, emptied_at), update (key, payload, detail, emptied_at)
      on public.heartbeat_rejects to heartbeat_writer;
    grant delete on public.customer_latest to heartbeat_writer;
  end if;
end
$$;
