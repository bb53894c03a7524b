-- 0008_summarize_block_ranges
-- Why: a block range without a summary is read by every query of a range of time, and so is a partition without statistics.
--      Autovacuum looks once a minute, and sums up when a fifth of a partition is new: too late behind a backlog of millions.
-- Locks: nothing; a function is made.

-- Sums up what lies in one partition from a block on, a part of it when that is much, and gathers its first statistics.
-- Waits for nobody: who holds the lock is a vacuum, which sums up in the end, or soon gone.
-- Returns the block to go on from; null when the lock could not be had, or the partition is gone.
create function public.summarize_heartbeat_blocks(partition regclass, from_block bigint)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  -- A gigabyte, or some 17 million readings: a second or two.
  max_blocks constant bigint := 131072;
  partition_name name := (select relname from pg_class where oid = partition);
  behind         bigint;
  next_block     bigint;
  brin           record;
begin
  if partition_name is null then
    return null;
  end if;
  if not exists (
    select from pg_inherits where inhparent = 'public.heartbeats'::regclass and inhrelid = partition) then
    raise exception 'summarize_heartbeat_blocks does not manage %', partition using errcode = 'invalid_parameter_value';
  end if;
  begin
    execute format('lock table only public.%I in share update exclusive mode nowait', partition_name);
  exception when lock_not_available then
    return null;
  end;
  behind := least(pg_relation_size(partition) / current_setting('block_size')::integer, from_block + max_blocks);
  next_block := behind;
  for brin in
    select index.oid::regclass as name,
           coalesce((select option_value::bigint from pg_options_to_table(index.reloptions)
                      where option_name = 'pages_per_range'), 128) as pages
      from pg_index
      join pg_class index on index.oid = pg_index.indexrelid
      join pg_am on pg_am.oid = index.relam
     where pg_index.indrelid = partition and pg_index.indisvalid and pg_am.amname = 'brin'
  loop
    -- What is summed up already costs some microseconds.
    for range in from_block / brin.pages .. behind / brin.pages - 1 loop
      perform brin_summarize_range(brin.name, range * brin.pages);
    end loop;
    next_block := least(next_block, behind / brin.pages * brin.pages);
  end loop;
  -- Without statistics the planner takes an index by block range for worthless and reads everything. The later ones
  -- autovacuum gathers in good time.
  if behind >= 1024 and not exists (
    select from pg_stats where schemaname = 'public' and tablename = partition_name and attname = 'ts') then
    execute format('analyze public.%I', partition_name);
  end if;
  return next_block;
end
$$;

revoke all on function public.summarize_heartbeat_blocks(regclass, bigint) from public;
