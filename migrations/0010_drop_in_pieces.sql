-- 0010_drop_in_pieces
-- Why: a large partition could not be counted within a statement's time, so it was never dropped; readings of many years
--      used up the number of partitions, and later days got none; old rows in the default partition stayed for ever.
-- Locks: heartbeat_retention exclusively, for a moment.

-- While a partition is being dropped: the table that it became, and how far its rows are counted. dropped_rows is null
-- until all of them are; then the table is dropped in the same transaction. Whoever needs the sum before counts the table.
alter table public.heartbeat_retention
  alter column dropped_rows drop not null,
  add column detached       name,
  add column counted_blocks bigint not null default 0,
  add column counted_rows   bigint not null default 0,
  add column reopened_at    timestamptz;   -- migration 0011

comment on column public.heartbeat_retention.dropped_rows is 'Null while the rows of the table in detached are being counted.';
comment on column public.heartbeat_retention.dropped_at   is 'While dropped_rows is null: when counting last got on.';

-- The day before which the consumer that asked last wants no readings: what is older and still there is overdue.
create table public.heartbeat_retention_bound (
  only_row boolean     primary key default true check (only_row),
  before   timestamptz not null
);

-- Makes the partition that an instant belongs to, unless one covers it, and returns the name of the one that does.
-- A day while it is recent, a month when it is older, and one partition for all that is older than five years; less where
-- its neighbours leave less room. With many partitions the new ones are coarser, and older readings reach that limit
-- first, so that recent days always find room: a statement over all partitions locks each of them and its two indexes,
-- in a table of some 8,600 places with PostgreSQL's own settings.
-- Rows of its range that sit in the default are moved and the partition attached in this one transaction. Nobody writes to
-- the default meanwhile, so of many rows only the first ones get their partition: the next call goes on behind it.
create or replace function public.ensure_heartbeat_partition(parent regclass, at timestamptz)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
declare
  days_until   constant integer := 730;   -- with so many partitions recent readings get months: two years of days
  months_until constant integer := 500;   -- and older ones years
  max_moved    constant integer := 100000;   -- rows: about a second
  max_pieces   constant integer := 100;   -- partitions that begin where the one before had enough rows, in all
  old_before   constant timestamptz := date_trunc('year', now() - interval '5 years', 'UTC');
  parent_name  constant text := (select relname from pg_class where oid = parent);
  total        integer;
  unit         text;
  from_bound   timestamptz;
  to_bound     timestamptz;
  cut          timestamptz;
  named_after  timestamptz;
  kind         text;
  child        text;
begin
  if parent not in ('public.heartbeats'::regclass) then
    raise exception 'ensure_heartbeat_partition does not manage %', parent using errcode = 'invalid_parameter_value';
  end if;
  for look in 1..2 loop
    select relname into child
      from public.heartbeat_partitions(parent) p
      join pg_class on pg_class.oid = p.partition
     where at >= p.lower_bound and at < p.upper_bound;
    if found then
      return child;   -- which most calls learn at the first look, and without the lock
    end if;
    -- One at a time: two that make the same partition, or overlapping ones, would fail each other. Attaching takes this
    -- lock in any case; readings are read and written beside it, and nobody but the owner may have it.
    execute format('lock table only %s in share update exclusive mode', parent);
  end loop;
  select count(*) into total from public.heartbeat_partitions(parent);
  unit := case when at >= now() - interval '62 days' then case when total < days_until then 'day' else 'month' end
               when at >= old_before then case when total < months_until then 'month' else 'year' end end;
  if unit is null then
    from_bound := '-infinity';
    to_bound := old_before;
  else
    from_bound := date_trunc(unit, at, 'UTC');
    -- In UTC, whatever the session's time zone says a day is.
    to_bound := ((from_bound at time zone 'UTC') + ('1 ' || unit)::interval) at time zone 'UTC';
  end if;
  select greatest(from_bound, max(p.upper_bound) filter (where p.upper_bound <= at)),
         least(to_bound, min(p.lower_bound) filter (where p.lower_bound > at))
    into from_bound, to_bound
    from public.heartbeat_partitions(parent) p;
  -- A session without a time limit, as an owner may have it, moves all rows at once.
  if current_setting('statement_timeout')::interval <> interval '0' then
    execute format('select ts from public.%I where ts > %L and ts < %L order by ts offset %s limit 1',
      parent_name || '_default', from_bound, to_bound, max_moved) into cut;
  end if;
  if cut is not null and max_pieces <= (
    select count(*) from public.heartbeat_partitions(parent) p
      join pg_class on pg_class.oid = p.partition
     where relname like parent_name || '\_from\_%') then
    raise exception 'too many readings around % are in the default partition to move them in pieces of % rows', at, max_moved
      using errcode = 'program_limit_exceeded',
            hint = 'As the owner, set statement_timeout = 0 and call ensure_heartbeat_partition.';
  end if;
  to_bound := coalesce(cut, to_bound);
  named_after := case from_bound when '-infinity' then to_bound else from_bound end;
  kind := case when from_bound = '-infinity' then 'before_'
               when from_bound = date_trunc(unit, from_bound, 'UTC') then left(unit, 1)
               else 'from_' end;
  child := parent_name || '_' || kind || to_char(named_after at time zone 'UTC',
    case when kind = 'y' then 'YYYY'
         when kind = 'm' then 'YYYYMM'
         when named_after = date_trunc('day', named_after, 'UTC') then 'YYYYMMDD'
         else 'YYYYMMDD_HH24MISSUS' end);
  execute format('create table public.%I (like %s including defaults including constraints)', child, parent);
  -- Nobody writes into the default from here on, so no row of the range can slip in behind the move. At once as strong
  -- as attaching needs it: a lock that is made stronger later deadlocks with a writer that reads the default first.
  -- While it is waited for, all others wait behind it.
  perform set_config('lock_timeout', '500ms', true);
  execute format('lock table public.%I in access exclusive mode', parent_name || '_default');
  execute format(
    'with moved as (delete from public.%I where ts >= %L and ts < %L returning *) insert into public.%I select * from moved',
    parent_name || '_default', from_bound, to_bound, child);
  execute format('alter table %s attach partition public.%I for values from (%s) to (%L)',
    parent, child, case from_bound when '-infinity' then 'minvalue' else quote_literal(from_bound) end, to_bound);
  return child;
end
$$;

-- Does one step towards dropping what lies before an instant, and returns the partition that it is about; null when
-- nothing is left to do. The first step detaches the oldest partition and writes its row in heartbeat_retention. Each
-- further one counts some of its rows, with no lock that anybody waits for, and the last of them drops the table.
create or replace function public.drop_old_heartbeat_partition(parent regclass, before timestamptz)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
declare
  blocks_at_once constant bigint := 128;
  -- Far inside a statement's time, however long or short that is.
  until          constant timestamptz := clock_timestamp() + least(interval '500 milliseconds',
    nullif(current_setting('statement_timeout')::interval, interval '0') / 4);
  parent_name    constant text := (select relname from pg_class where oid = parent);
  counting       public.heartbeat_retention;
  oldest         record;
  blocks         bigint;
  counted        bigint;
  new_name       name;
  reader         regrole;
begin
  if parent not in ('public.heartbeats'::regclass) then
    raise exception 'drop_old_heartbeat_partition does not manage %', parent using errcode = 'invalid_parameter_value';
  end if;
  if before > now() - interval '23 hours' then
    raise exception 'drop_old_heartbeat_partition keeps at least a day, but was asked to drop all before %', before
      using errcode = 'invalid_parameter_value';
  end if;

  -- Another session may be counting: then this one goes on with the next partition.
  select * into counting from public.heartbeat_retention r where r.dropped_rows is null order by r.id limit 1 for update skip locked;
  if found then
    -- Nothing is written to it any more, so what was counted stays right.
    blocks := pg_relation_size(format('public.%I', counting.detached)::regclass) / current_setting('block_size')::integer;
    while counting.counted_blocks < blocks loop
      execute format('select count(*) from public.%I where ctid >= ''(%s,0)'' and ctid < ''(%s,0)''', counting.detached,
        counting.counted_blocks, counting.counted_blocks + blocks_at_once) into counted;
      counting.counted_blocks := least(blocks, counting.counted_blocks + blocks_at_once);
      counting.counted_rows := counting.counted_rows + counted;
      exit when clock_timestamp() > until;
    end loop;
    update public.heartbeat_retention
       set counted_blocks = counting.counted_blocks, counted_rows = counting.counted_rows, dropped_at = now()
     where id = counting.id;
    if counting.counted_blocks = blocks then
      update public.heartbeat_retention set dropped_rows = counted_rows, detached = null where id = counting.id;
      execute format('drop table public.%I', counting.detached);
    end if;
    return counting.partition;
  end if;

  -- Detaching needs the whole table for a moment. Everybody waits behind who waits for that, so it is asked for briefly,
  -- and longer each time: writers are done between two tries, or in the longest; a dump of the database is not. Between
  -- two tries no lock is kept, or no partition could be made meanwhile.
  for try in 0..3 loop
    if not exists (select from public.heartbeat_partitions(parent) p where p.upper_bound <= before) then
      return null;   -- which most calls learn without a lock
    end if;
    begin
      perform set_config('lock_timeout', (100 * 2 ^ try)::integer::text, true);
      execute format('lock table only %s in share update exclusive mode', parent);
      select p.*, relname into oldest
        from public.heartbeat_partitions(parent) p
        join pg_class on pg_class.oid = p.partition
       where p.upper_bound <= before
       order by p.upper_bound
       limit 1;
      if not found then
        return null;
      end if;
      execute format('lock table only %s, public.%I, public.%I in access exclusive mode', parent,
        parent_name || '_default', oldest.relname);
      exit;
    exception when lock_not_available then
      if try = 3 then
        raise;
      end if;
      perform pg_sleep(0.3);
    end;
  end loop;
  insert into public.heartbeat_retention (partition, lower_bound, upper_bound, dropped_rows)
  values (format('public.%I', oldest.relname), oldest.lower_bound, oldest.upper_bound, null)
  returning * into counting;
  -- Its name is free at once, should the day be wanted again.
  new_name := format('%s_dropped_%s', oldest.relname, counting.id);
  update public.heartbeat_retention set detached = new_name where id = counting.id;
  execute format('alter table %s detach partition public.%I', parent, oldest.relname);
  execute format('alter table public.%I rename to %I', oldest.relname, new_name);
  -- Who could count its rows through the parent still can.
  for reader in
    select acl.grantee from pg_class, aclexplode(relacl) acl
     where pg_class.oid = parent and acl.privilege_type = 'SELECT' and acl.grantee <> 0
  loop
    execute format('grant select on public.%I to %s', new_name, reader);
  end loop;
  return counting.partition;
end
$$;

-- Readings that sit in the default partition, one of each of some days, found among the first of them.
create function public.heartbeats_without_partition(parent regclass)
returns setof timestamptz
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if parent not in ('public.heartbeats'::regclass) then
    raise exception 'heartbeats_without_partition does not manage %', parent using errcode = 'invalid_parameter_value';
  end if;
  return query execute format(
    'select min(ts) from (select ts from public.%I limit 10000) found group by date_trunc(''day'', ts, ''UTC'') order by 1 limit 32',
    (select relname from pg_class where oid = parent) || '_default');
end
$$;

-- Deletes what lies before an instant, rounded down to a day, from some blocks of a partition that is not dropped for it:
-- the default, or one of a long time. Counts the rows in heartbeat_retention, in the same transaction.
-- The first call that finds such a row deletes nothing: it waits for the writers under way and writes the row that says
-- up to which day readings are dropped. From then on no writer stores an older reading, so a reading that is deleted
-- cannot be stored again and counted in its minute twice.
-- Returns the block to go on from; null when there is none.
create function public.delete_old_heartbeats(partition regclass, before timestamptz, from_block bigint)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
declare
  blocks_at_once constant bigint := 32;
  -- Shorter than ensure_heartbeat_partition waits for the default.
  until          constant timestamptz := clock_timestamp() + least(interval '200 milliseconds',
    nullif(current_setting('statement_timeout')::interval, interval '0') / 4);
  day            constant timestamptz := date_trunc('day', before, 'UTC');
  full_name      constant text := (select format('public.%I', relname) from pg_class where oid = partition);
  is_announced   constant boolean := exists (
    select from public.heartbeat_retention r
     where r.partition = full_name and r.upper_bound = day and r.detached is null and r.reopened_at is null);
  blocks         bigint;
  next_block     bigint := from_block;
  found_rows     bigint;
  total          bigint := 0;
begin
  if full_name is null then
    return null;
  end if;
  if not exists (
    select from pg_inherits where inhparent = 'public.heartbeats'::regclass and inhrelid = partition) then
    raise exception 'delete_old_heartbeats does not manage %', partition using errcode = 'invalid_parameter_value';
  end if;
  if before > now() - interval '23 hours' then
    raise exception 'delete_old_heartbeats keeps at least a day, but was asked to delete all before %', before
      using errcode = 'invalid_parameter_value';
  end if;
  blocks := pg_relation_size(partition) / current_setting('block_size')::integer;
  while next_block < blocks and clock_timestamp() < until loop
    execute format('%s from %s where ctid >= ''(%s,0)'' and ctid < ''(%s,0)'' and ts < %L',
      case when is_announced then 'delete' else 'select' end, full_name, next_block, next_block + blocks_at_once, day);
    get diagnostics found_rows = row_count;
    if found_rows > 0 and not is_announced then
      -- Asked for briefly, since readers and writers queue behind it.
      perform set_config('lock_timeout', '0.5s', true);
      lock table only public.heartbeats in share row exclusive mode;
      insert into public.heartbeat_retention (partition, upper_bound, dropped_rows) values (full_name, day, 0);
      return next_block;
    end if;
    total := total + found_rows;
    next_block := next_block + blocks_at_once;
  end loop;
  update public.heartbeat_retention r
     set dropped_rows = r.dropped_rows + total, dropped_at = now()
   where r.partition = full_name and r.upper_bound = day and r.detached is null and r.reopened_at is null and total > 0;
  return case when next_block < blocks then next_block end;
end
$$;

revoke all on function public.heartbeats_without_partition(regclass) from public;
revoke all on function public.delete_old_heartbeats(regclass, timestamptz, bigint) from public;

-- Roles that were made before have what they need, also when they are not made anew now.
do $$
begin
  if to_regrole('heartbeat_writer') is not null
     and has_function_privilege('heartbeat_writer', 'public.drop_old_heartbeat_partition(regclass, timestamptz)', 'execute') then
    grant execute on function public.heartbeats_without_partition(regclass),
      public.delete_old_heartbeats(regclass, timestamptz, bigint) to heartbeat_writer;
    grant select, insert, update on public.heartbeat_retention_bound to heartbeat_writer;
  end if;
  if to_regrole('heartbeat_reader') is not null
     and has_table_privilege('heartbeat_reader', 'public.heartbeat_retention', 'select') then
    grant select on public.heartbeat_retention_bound to heartbeat_reader;
  end if;
end
$$;
