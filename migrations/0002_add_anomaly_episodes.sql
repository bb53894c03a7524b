-- 0002_add_anomaly_episodes
-- Why: shows when a customer was beyond an alarm limit, for how long, and how far.
-- Locks: public.heartbeats, as a query does. Readers and writers do not wait.

-- Returns the episodes of a customer that overlap the range from since (inclusive) to until (exclusive).
-- An episode is a run of consecutive readings with the same anomaly, at most five minutes apart.
-- An episode that crosses an end of the range is returned whole. But the function reads at most 24 hours beyond each end, so
-- that its cost is bounded. A longer episode is cut there.
--
-- The function has no SET clause, so that PostgreSQL can inline it and read only the day partitions of the range.
-- A search_path cannot change what the function does: a body in the form "begin atomic" stores resolved names.
create function public.anomaly_episodes(customer text, since timestamptz, until timestamptz)
returns table (
  anomaly text, began timestamptz, ended timestamptz, duration interval, extreme smallint, readings bigint
)
language sql stable parallel safe
begin atomic
  with searched as (
    -- Begins at the last reading within the limits before the range, and ends at the first one after the range.
    select coalesce((select max(ts)
                       from public.heartbeats
                      where customer_id = customer and anomaly is null and ts >= since - interval '24 hours' and ts < since),
                    since - interval '24 hours') as first_ts,
           coalesce((select min(ts)
                       from public.heartbeats
                      where customer_id = customer and anomaly is null and ts >= until and ts <= until + interval '24 hours'),
                    until + interval '24 hours') as last_ts
  ), compared as (
    select ts, heart_rate, heartbeats.anomaly,
           heartbeats.anomaly is distinct from lag(heartbeats.anomaly) over by_time
             or ts - lag(ts) over by_time > interval '5 minutes' as begins
      from public.heartbeats
     where customer_id = customer
       -- Also as expressions without a subquery, so that the planner leaves out the other day partitions.
       and ts between since - interval '24 hours' and until + interval '24 hours'
       and ts between (select first_ts from searched) and (select last_ts from searched)
    window by_time as (order by ts)
  ), numbered as (
    select ts, heart_rate, compared.anomaly, count(*) filter (where begins) over (order by ts) as episode
      from compared
     where compared.anomaly is not null
  )
  select numbered.anomaly, min(ts), max(ts), max(ts) - min(ts),
         case numbered.anomaly when 'low' then min(heart_rate) else max(heart_rate) end, count(*)
    from numbered
   group by episode, numbered.anomaly
  having min(ts) < until and max(ts) >= since
   order by min(ts);
end;

comment on function public.anomaly_episodes(text, timestamptz, timestamptz) is
  'The episodes of a customer that overlap the range: runs of consecutive low or high readings, at most five minutes apart.';
