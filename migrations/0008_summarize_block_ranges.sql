-- 0008_summarize_block_ranges
-- Why: a block range without a summary is read by every query of a range of time, and so is a partition without statistics.
--      Autovacuum looks once a minute, and sums up when a fifth of a partition is new: too late behind a backlog of millions.
-- Locks: nothing; a function is made.

-- Sums up what one partition has got, from a block on, or all that is not summed up when it is null; and gathers its first
-- statistics. Waits for nobody: who holds the lock is a vacuum, which sums up as well, or soon gone.
-- Returns the block to go on from, that of the first range that is not full; null when it has to be asked again.
create function public.summarize_heartbeat_blocks(partition regclass, from_block bigint)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  blocks     bigint;
  next_block bigint;
  brin       record;
begin
  if not exists (
    select from pg_inherits where inhparent = 'public.heartbeats'::regclass and inhrelid = partition) then
    raise exception 'summarize_heartbeat_blocks does not manage %', partition using errcode = 'invalid_parameter_value';
  end if;
  begin
    execute format('lock table only %s in share update exclusive mode nowait', partition);
  exception when lock_not_available then
    return null;
  end;
  blocks := pg_relation_size(partition) / current_setting('block_size')::integer;
  next_block := blocks;
  for brin in
    select index.oid::regclass as name,
           coalesce((select option_value::bigint from pg_options_to_table(index.reloptions)
                      where option_name = 'pages_per_range'), 128) as pages
      from pg_index
      join pg_class index on index.oid = pg_index.indexrelid
      join pg_am on pg_am.oid = index.relam
     where pg_index.indrelid = partition and pg_index.indisvalid and pg_am.amname = 'brin'
  loop
    if from_block is null then
      perform brin_summarize_new_values(brin.name);
    else
      for range in from_block / brin.pages .. blocks / brin.pages - 1 loop
        perform brin_summarize_range(brin.name, range * brin.pages);
      end loop;
    end if;
    next_block := least(next_block, blocks / brin.pages * brin.pages);
  end loop;
  -- Without statistics the planner takes an index by block range for worthless and reads everything. -1 rows: there are
  -- none; 0: they are of a time when it was empty. The later ones autovacuum gathers in good time.
  if blocks >= 1024 and (select reltuples from pg_class where oid = partition) <= 0 then
    execute format('analyze %s', partition);
  end if;
  return next_block;
end
$$;

revoke all on function public.summarize_heartbeat_blocks(regclass, bigint) from public;
