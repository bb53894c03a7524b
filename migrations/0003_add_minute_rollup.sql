-- 0003_add_minute_rollup
-- Why: long ranges and "who is alive now" must not read every row. Both are kept in the transaction that stores the rows.
-- Locks: heartbeats against writers, for as long as it takes to read it once.

lock table public.heartbeats in share row exclusive mode;

create table public.heartbeats_1m (
  customer_id    text        collate "C" not null,
  minute         timestamptz not null,
  readings       integer     not null check (readings > 0),
  heart_rate_sum bigint      not null,
  heart_rate_min smallint    not null,
  heart_rate_max smallint    not null,
  low            integer     not null,
  high           integer     not null,
  constraint heartbeats_1m_pkey primary key (customer_id, minute)
) with (fillfactor = 80);   -- the current minute's row is updated with every batch
create index heartbeats_1m_minute on public.heartbeats_1m (minute);

comment on table  public.heartbeats_1m                is 'What the stored readings of a customer and minute add up to; the mean is heart_rate_sum / readings.';
comment on column public.heartbeats_1m.heart_rate_sum is 'Beats per minute, added up over the readings.';
comment on column public.heartbeats_1m.low            is 'Readings whose anomaly is low.';
comment on column public.heartbeats_1m.high           is 'Readings whose anomaly is high.';

insert into public.heartbeats_1m
select customer_id, date_trunc('minute', ts, 'UTC'), count(*), sum(heart_rate), min(heart_rate), max(heart_rate),
       count(*) filter (where anomaly = 'low'), count(*) filter (where anomaly = 'high')
  from public.heartbeats
 group by 1, 2
 order by 2, 1;   -- as they are written in operation, so that a range of time lies together

create table public.customer_latest (
  customer_id text        collate "C" primary key,
  ts          timestamptz not null,
  heart_rate  smallint    not null,
  anomaly     text        collate "C"
) with (fillfactor = 50);   -- every row is updated all the time: room on the page keeps that off the index

comment on table public.customer_latest is 'The reading of each customer with the latest instant, whenever it arrived.';

insert into public.customer_latest
select distinct on (customer_id) customer_id, ts, heart_rate, anomaly
  from public.heartbeats
 order by customer_id, ts desc;
