-- 0007_lock_partitions_briefly
-- Why: an advisory lock is anybody's who may log in, and who keeps it keeps partitions from being made; and whoever
--      reads or writes waits behind the lock that these functions wait for, as they do while a dump is under way.
-- Locks: nothing; the functions are replaced.

-- Makes the partition that an instant belongs to, unless one covers it: a day while it is recent, a month or a year
-- when it is old, and nothing (the default partition takes it) when there are too many already. Rows of its range that
-- sit in the default are moved and the partition attached in this one transaction.
create or replace function public.ensure_heartbeat_partition(parent regclass, at timestamptz)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
declare
  max_partitions constant integer := 1500;
  parent_name    constant text := (select relname from pg_class where oid = parent);
  unit           text;
  from_bound     timestamptz;
  to_bound       timestamptz;
  child          text;
begin
  if parent not in ('public.heartbeats'::regclass) then
    raise exception 'ensure_heartbeat_partition does not manage %', parent using errcode = 'invalid_parameter_value';
  end if;
  for look in 1..2 loop
    if exists (select from public.heartbeat_partitions(parent) p where at >= p.lower_bound and at < p.upper_bound)
       or (select count(*) from public.heartbeat_partitions(parent)) >= max_partitions then
      return null;   -- which most calls learn at the first look, and without the lock
    end if;
    -- One at a time: two that make the same partition, or overlapping ones, would fail each other. Attaching takes this
    -- lock in any case; readings are read and written beside it, and nobody but the owner may have it.
    execute format('lock table only %s in share update exclusive mode', parent);
  end loop;
  foreach unit in array
    case when at >= now() - interval '62 days' then array['day']
         when at >= now() - interval '5 years' then array['month', 'day']
         else array['year', 'month', 'day'] end
  loop
    from_bound := date_trunc(unit, at, 'UTC');
    -- In UTC, whatever the session's time zone says a day is.
    to_bound := ((from_bound at time zone 'UTC') + ('1 ' || unit)::interval) at time zone 'UTC';
    exit when not exists (
      select from public.heartbeat_partitions(parent) p where p.lower_bound < to_bound and p.upper_bound > from_bound);
    from_bound := null;
  end loop;
  if from_bound is null then
    return null;   -- part of the day is covered by an older, coarser partition
  end if;
  child := parent_name || '_' || left(unit, 1) || to_char(from_bound at time zone 'UTC',
    case unit when 'day' then 'YYYYMMDD' when 'month' then 'YYYYMM' else 'YYYY' end);
  execute format('create table public.%I (like %s including defaults including constraints)', child, parent);
  -- Nobody writes into the default from here on, so no row of the range can slip in behind the move. At once as strong
  -- as attaching needs it: a lock that is made stronger later deadlocks with a writer that reads the default first.
  -- While it is waited for, all others wait behind it.
  perform set_config('lock_timeout', '500ms', true);
  execute format('lock table public.%I in access exclusive mode', parent_name || '_default');
  execute format(
    'with moved as (delete from public.%I where ts >= %L and ts < %L returning *) insert into public.%I select * from moved',
    parent_name || '_default', from_bound, to_bound, child);
  execute format('alter table %s attach partition public.%I for values from (%L) to (%L)',
    parent, child, from_bound, to_bound);
  return child;
end
$$;

-- Drops the oldest partition that lies before an instant as a whole, and counts its rows; null when there is none.
create or replace function public.drop_old_heartbeat_partition(parent regclass, before timestamptz)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
declare
  parent_name constant text := (select relname from pg_class where oid = parent);
  oldest      record;
  name        text;
  dropped     bigint;
begin
  if parent not in ('public.heartbeats'::regclass) then
    raise exception 'drop_old_heartbeat_partition does not manage %', parent using errcode = 'invalid_parameter_value';
  end if;
  if before > now() - interval '23 hours' then
    raise exception 'drop_old_heartbeat_partition keeps at least a day, but was asked to drop all before %', before
      using errcode = 'invalid_parameter_value';
  end if;
  if not exists (select from public.heartbeat_partitions(parent) p where p.upper_bound <= before) then
    return null;   -- which most calls learn without the lock
  end if;
  execute format('lock table only %s in share update exclusive mode', parent);
  select * into oldest
    from public.heartbeat_partitions(parent) p
   where p.upper_bound <= before
   order by p.upper_bound
   limit 1;
  if not found then
    return null;
  end if;
  name := oldest.partition::text;
  -- Only the partition is locked while its rows are counted; nobody writes so old a reading any more.
  execute format('lock table %s in share mode', name);
  execute format('select count(*) from %s', name) into dropped;
  insert into public.heartbeat_retention (partition, lower_bound, upper_bound, dropped_rows)
  values (name, oldest.lower_bound, oldest.upper_bound, dropped);
  -- Dropping needs the whole table for a moment. Everybody waits behind who waits for that, so it is asked for briefly,
  -- and longer each time: writers are done between two tries, or in the longest; a dump of the database is not.
  for try in 0..3 loop
    begin
      perform set_config('lock_timeout', (100 * 2 ^ try)::integer::text, true);
      execute format('lock table only %s, public.%I in access exclusive mode', parent, parent_name || '_default');
      exit;
    exception when lock_not_available then
      if try = 3 then
        raise;
      end if;
      perform pg_sleep(0.5);
    end;
  end loop;
  execute format('drop table %s', name);
  return name;
end
$$;
