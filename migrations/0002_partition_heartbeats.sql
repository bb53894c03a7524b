-- 0002_partition_heartbeats
-- Why: dropping old readings must not vacuum a table, and an index that fits in memory must stay so.
-- Locks: heartbeats exclusively, for as long as it takes to read it once (its rows are attached, not copied).

alter table public.heartbeats rename to heartbeats_before;
alter table public.heartbeats_before rename constraint heartbeats_pkey to heartbeats_before_pkey;
alter index public.heartbeats_ts rename to heartbeats_before_ts;

create table public.heartbeats (
  -- Byte order, so that every writer and every index agrees on it whatever the server's locale.
  customer_id text        collate "C" not null,
  ts          timestamptz not null,
  heart_rate  smallint    not null,
  anomaly     text        collate "C",
  constraint heartbeats_pkey primary key (customer_id, ts),
  constraint heartbeats_customer_id_length check (char_length(customer_id) between 1 and 128),
  constraint heartbeats_anomaly_kind check (anomaly in ('low', 'high'))
) partition by range (ts);
create index heartbeats_ts on public.heartbeats (ts);

-- For what no partition was made for: the absurd, and what came while none could be made.
create table public.heartbeats_default partition of public.heartbeats default;

comment on table  public.heartbeats            is 'One row a reading; a repeated (customer_id, ts) is never stored twice.';
comment on column public.heartbeats.ts         is 'Instant of the measurement, exact to the microsecond.';
comment on column public.heartbeats.heart_rate is 'Beats per minute.';
comment on column public.heartbeats.anomaly    is 'low, high, or null when within the alarm thresholds at ingest.';

-- What was there becomes one coarse partition, up to the end of its last day.
do $$
declare
  upper_bound timestamptz;
begin
  select date_trunc('day', greatest(max(ts), now()), 'UTC') + interval '1 day'
    into upper_bound
    from public.heartbeats_before
  having count(*) > 0;
  if upper_bound is null then
    drop table public.heartbeats_before;
  else
    execute format(
      'alter table public.heartbeats attach partition public.heartbeats_before for values from (minvalue) to (%L)',
      upper_bound);
  end if;
end
$$;

-- Readings that were dropped because they were old: what the ledger counts as stored is in the table or here.
create table public.heartbeat_retention (
  id           bigint      generated always as identity primary key,
  partition    text        not null,
  lower_bound  timestamptz,
  upper_bound  timestamptz not null,
  dropped_rows bigint      not null check (dropped_rows >= 0),
  dropped_at   timestamptz not null default now()
);

-- The ranges of a partitioned table's partitions, the default left out; -infinity stands for minvalue.
create function public.heartbeat_partitions(parent regclass)
returns table (partition regclass, lower_bound timestamptz, upper_bound timestamptz)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select child.oid::regclass,
         coalesce(substring(bounds.text from 'FROM \(''([^'']+)''\)')::timestamptz, '-infinity'),
         coalesce(substring(bounds.text from 'TO \(''([^'']+)''\)')::timestamptz, 'infinity')
    from pg_inherits
    join pg_class child on child.oid = pg_inherits.inhrelid
   cross join lateral (select pg_get_expr(child.relpartbound, child.oid) as text) bounds
   where pg_inherits.inhparent = heartbeat_partitions.parent
     and bounds.text <> 'DEFAULT';
end;

-- Makes the partition that an instant belongs to, unless one covers it: a day while it is recent, a month or a year
-- when it is old, and nothing (the default partition takes it) when there are too many already. Rows of its range that
-- sit in the default are moved and the partition attached in this one transaction.
create function public.ensure_heartbeat_partition(parent regclass, at timestamptz)
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
  -- One at a time: two that make the same partition, or overlapping ones, would fail each other.
  perform pg_advisory_xact_lock(7521419864366932341);
  if exists (select from public.heartbeat_partitions(parent) p where at >= p.lower_bound and at < p.upper_bound)
     or (select count(*) from public.heartbeat_partitions(parent)) >= max_partitions then
    return null;
  end if;
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
create function public.drop_old_heartbeat_partition(parent regclass, before timestamptz)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
declare
  oldest  record;
  name    text;
  dropped bigint;
begin
  if parent not in ('public.heartbeats'::regclass) then
    raise exception 'drop_old_heartbeat_partition does not manage %', parent using errcode = 'invalid_parameter_value';
  end if;
  if before > now() - interval '23 hours' then
    raise exception 'drop_old_heartbeat_partition keeps at least a day, but was asked to drop all before %', before
      using errcode = 'invalid_parameter_value';
  end if;
  perform pg_advisory_xact_lock(7521419864366932341);
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
  execute format('drop table %s', name);
  return name;
end
$$;

revoke all on function public.ensure_heartbeat_partition(regclass, timestamptz) from public;
revoke all on function public.drop_old_heartbeat_partition(regclass, timestamptz) from public;
