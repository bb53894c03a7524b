-- 0006_index_ts_by_block_range
-- Why: a B-tree on ts took a third of what PostgreSQL spends on a reading. Readings lie in the table about as they were
--      measured, so a range of time is found by ranges of blocks; the newest readings are found by who sent them.
-- Locks: heartbeats against writers, for as long as it takes to read it once.

drop index public.heartbeats_ts;
create index heartbeats_ts on public.heartbeats using brin (ts) with (pages_per_range = 32, autosummarize = on);

-- The newest readings of all. Each of the `wanted` customers who were heard last has one at `since` or later, so no
-- reading before it is among the newest, and nobody else has one after it.
create function public.latest_heartbeats(wanted integer default 20)
returns table (customer_id text, ts timestamptz, heart_rate smallint, anomaly text)
language sql stable
begin atomic
  with heard as (
    select latest.customer_id, latest.ts
      from public.customer_latest latest
     order by latest.ts desc
     limit latest_heartbeats.wanted
  ), bound as (
    select case when count(*) = latest_heartbeats.wanted then min(heard.ts) else '-infinity' end as since
      from heard
  )
  select reading.customer_id, reading.ts, reading.heart_rate, reading.anomaly
    from bound, heard
   cross join lateral (
     select one.customer_id, one.ts, one.heart_rate, one.anomaly
       from public.heartbeats one
      where one.customer_id = heard.customer_id
        and one.ts >= bound.since
      order by one.ts desc
      limit latest_heartbeats.wanted
   ) reading
   order by reading.ts desc, reading.customer_id
   limit latest_heartbeats.wanted;
end;

comment on function public.latest_heartbeats(integer) is
  'The newest readings, by the instant of the measurement; quick however many there are.';
