-- 0011_reopen_dropped_days
-- Why: minutes outlive the rows they were counted from, so a reading of a dropped day must not be stored again. The newest
--      upper_bound in heartbeat_retention is the floor, which every writer checks. The owner can lower it.
-- Locks: heartbeat_retention exclusively for a moment; no rewrite.

comment on column public.heartbeat_retention.reopened_at is
  'When the range was opened again. The row goes on to count what was dropped, but no longer sets the floor.';

create index heartbeat_retention_floor on public.heartbeat_retention (upper_bound) where reopened_at is null;

-- Lowers the floor to the minute of an instant, so that readings from there on can be stored again. The minutes and the
-- latest readings of the range are deleted and counted anew from the rows that are still in it.
-- Returns the floor; null when there is none.
create function public.reopen_heartbeats(since timestamptz)
returns timestamptz
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  new_floor constant timestamptz := date_trunc('minute', since, 'UTC');
  old_floor timestamptz;
begin
  -- Keeps partitions from being made or dropped, and writers from the minutes that are counted anew.
  lock table only public.heartbeats in share row exclusive mode;
  select max(upper_bound) into old_floor from public.heartbeat_retention where reopened_at is null;
  if old_floor is null or old_floor <= new_floor then
    return old_floor;
  end if;
  -- A partition may end within a minute: that minute is counted as a whole.
  old_floor := date_trunc('minute', old_floor + interval '59.999999 seconds', 'UTC');
  update public.heartbeat_retention set reopened_at = now() where reopened_at is null and upper_bound > new_floor;
  if isfinite(new_floor) then
    insert into public.heartbeat_retention (partition, upper_bound, dropped_rows) values ('reopened', new_floor, 0);
  end if;
  delete from public.heartbeats_1m where minute >= new_floor and minute < old_floor;
  insert into public.heartbeats_1m
         (customer_id, minute, readings, heart_rate_sum, heart_rate_min, heart_rate_max, low, high)
  select customer_id, date_trunc('minute', ts, 'UTC'), count(*), sum(heart_rate), min(heart_rate), max(heart_rate),
         count(*) filter (where anomaly = 'low'), count(*) filter (where anomaly = 'high')
    from public.heartbeats
   where ts >= new_floor and ts < old_floor
   group by 1, 2;
  -- Locked in the order in which writers lock them, or the two would deadlock; last, since writers wait for them.
  perform from public.customer_latest where ts >= new_floor and ts < old_floor order by customer_id for update;
  delete from public.customer_latest where ts >= new_floor and ts < old_floor;
  insert into public.customer_latest as known (customer_id, ts, heart_rate, anomaly)
  select distinct on (customer_id) customer_id, ts, heart_rate, anomaly
    from public.heartbeats
   where ts >= new_floor and ts < old_floor
   order by customer_id, ts desc
      on conflict (customer_id) do update
     set ts = excluded.ts, heart_rate = excluded.heart_rate, anomaly = excluded.anomaly
   where excluded.ts > known.ts;
  return nullif(new_floor, '-infinity');
end
$$;

revoke all on function public.reopen_heartbeats(timestamptz) from public;

-- A writer's role that was made before reads the floor with each batch, also when it is not made anew now.
do $$
begin
  if to_regrole('heartbeat_writer') is not null
     and has_table_privilege('heartbeat_writer', 'public.ingest_offsets', 'update') then
    grant select on public.heartbeat_retention to heartbeat_writer;
  end if;
end
$$;
