-- 0001_create_schema
-- Why: the whole schema. Readings, one partition a day; the ledger, which accounts for every Kafka offset; the change feed
--      and the rollup, which keeps minutes and latest readings; the state of consumers; retention.
-- Locks: nothing that exists; new tables only.

-- The version of the newest breaking migration. Every row of the ledger names it, and a program writes only while it is
-- the one that the program knows.
create function public.schema_generation()
returns integer
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select coalesce(max(version), 0) from public.schema_migrations where breaking;
end;

-- Readings ------------------------------------------------------------------------------------------------------------

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

-- For readings whose partition could not be made before they were written; ensure_heartbeat_partition moves them later.
create table public.heartbeats_default partition of public.heartbeats default;

comment on table  public.heartbeats            is 'One row a reading; a repeated (customer_id, ts) is never stored twice.';
comment on column public.heartbeats.ts         is 'Instant of the measurement, exact to the microsecond.';
comment on column public.heartbeats.heart_rate is 'Beats per minute.';
comment on column public.heartbeats.anomaly    is 'low, high, or null when within the alarm thresholds at ingest.';

-- The ledger ----------------------------------------------------------------------------------------------------------

-- One row for each log that was ever read: a partition of one incarnation of a topic. A topic that is deleted and created
-- again has another topic_id; a log that was cut below next_offset begins a new generation.
create table public.ingest_offsets (
  id                bigint      generated always as identity primary key,
  topic             text        collate "C" not null,
  topic_id          uuid        not null,
  kafka_partition   integer     not null check (kafka_partition >= 0),
  generation        integer     not null default 0,
  first_offset      bigint      not null check (first_offset >= 0),
  next_offset       bigint      not null,
  moves             bigint      not null default 0,
  stored            bigint      not null default 0 check (stored >= 0),
  duplicates        bigint      not null default 0 check (duplicates >= 0),
  rejected          bigint      not null default 0 check (rejected >= 0),
  gaps              bigint      not null default 0 check (gaps >= 0),
  leader_epoch      integer     check (leader_epoch >= 0),
  leader_epoch_at   bigint,
  last_event_ts     timestamptz,
  last_record_at    timestamptz,
  last_batch_at     timestamptz,
  opened_at         timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  schema_generation integer     not null default public.schema_generation(),
  constraint ingest_offsets_log unique (topic_id, kafka_partition, generation),
  constraint ingest_offsets_accounted check (next_offset - first_offset = stored + duplicates + rejected + gaps)
) with (fillfactor = 50);   -- updated with every batch: room on the page keeps those updates off the indexes

comment on table public.ingest_offsets is
  'The ledger. next_offset moves in the transaction that stores what lies before it; every offset is counted once.';
comment on column public.ingest_offsets.moves is
  'How many times a consumer moved next_offset. Each move has its row in ingest_changes, under this number.';
comment on column public.ingest_offsets.leader_epoch is
  'Epoch of the leader that took the record before leader_epoch_at; null while it is not known.';
-- An operator moves next_offset alone: with the epoch of another offset, the whole log would look cut.
comment on column public.ingest_offsets.leader_epoch_at is
  'The next_offset that leader_epoch belongs to; while they differ the epoch is not known.';
comment on column public.ingest_offsets.last_event_ts  is 'Latest instant of a reading that was stored from this log.';
comment on column public.ingest_offsets.last_record_at is 'Kafka''s timestamp of the last record of the last batch.';
comment on column public.ingest_offsets.last_batch_at  is 'When the last batch with records was written.';
comment on column public.ingest_offsets.schema_generation is
  'The generation of the schema, the same in all rows. A program of another generation moves no offset.';

create table public.heartbeat_rejects (
  ledger_id       bigint      not null references public.ingest_offsets (id),
  topic           text        collate "C" not null,
  kafka_partition integer     not null,
  kafka_offset    bigint      not null,
  reason          text        collate "C" not null,
  detail          text        not null,
  key             bytea,
  payload         bytea,
  rejected_at     timestamptz not null default now(),
  emptied_at      timestamptz,
  primary key (ledger_id, kafka_offset),
  constraint heartbeat_rejects_emptied
    check (emptied_at is null or (key is null and payload is null and detail = ''))
);
create index heartbeat_rejects_rejected_at on public.heartbeat_rejects (rejected_at);
-- Emptied rejects stay in the table: without an index of its own, each search for the next old ones would pass over them.
create index heartbeat_rejects_to_empty on public.heartbeat_rejects (rejected_at) where emptied_at is null;

comment on table public.heartbeat_rejects is 'Records that were refused, one row each, with the reason.';
comment on column public.heartbeat_rejects.payload is
  'The exact bytes; null for a tombstone, and for every record once emptied_at is set.';
comment on column public.heartbeat_rejects.emptied_at is
  'When retention emptied key, payload and detail.';

create table public.ingest_gaps (
  ledger_id   bigint      not null references public.ingest_offsets (id),
  from_offset bigint      not null,
  to_offset   bigint      not null,
  cause       text        collate "C" not null,
  noticed_at  timestamptz not null default now(),
  primary key (ledger_id, from_offset),
  check (to_offset > from_offset),
  check (cause in ('control', 'aborted', 'compacted', 'log_start'))
);

comment on table public.ingest_gaps is 'Offsets [from_offset, to_offset) that Kafka has no committed record for.';

-- The change feed -----------------------------------------------------------------------------------------------------

-- No foreign key to the ledger: its lock would make the ingest wait for the rollup.
create table public.ingest_changes (
  ledger_id      bigint        not null,
  move           bigint        not null,
  from_offset    bigint        not null,
  next_offset    bigint        not null,
  customer_ids   text[]        collate "C" not null,
  minutes        timestamptz[] not null,
  readings       integer[]     not null,
  sums           integer[]     not null,
  lows           smallint[]    not null,
  highs          smallint[]    not null,
  low_counts     integer[]     not null,
  high_counts    integer[]     not null,
  last_ts        timestamptz[] not null,
  last_rates     smallint[]    not null,
  last_anomalies text[]        collate "C" not null,
  written_at     timestamptz   not null default now(),
  primary key (ledger_id, move)
) with (
  -- A queue: nearly all rows are soon deleted, and truncating the table would lock the ingest out.
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, vacuum_truncate = off,
  toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 50000, toast.vacuum_truncate = off
);
-- Not compressed: compression makes writing three times as expensive.
alter table public.ingest_changes
  alter column customer_ids   set storage external,
  alter column minutes        set storage external,
  alter column readings       set storage external,
  alter column sums           set storage external,
  alter column lows           set storage external,
  alter column highs          set storage external,
  alter column low_counts     set storage external,
  alter column high_counts    set storage external,
  alter column last_ts        set storage external,
  alter column last_rates     set storage external,
  alter column last_anomalies set storage external;

comment on table public.ingest_changes is
  'The change feed: one row for each move of a ledger row, written in its transaction. The moves are a chain without gaps.';
comment on column public.ingest_changes.customer_ids is
  'All arrays have one entry for each customer and minute that got readings with this move, and none when it stored none.';
comment on column public.ingest_changes.last_ts is
  'With last_rates and last_anomalies: the latest reading of that customer and minute in this move.';

-- The rollup: minutes and latest readings -----------------------------------------------------------------------------

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
) with (fillfactor = 45);   -- a round updates all rows of a page: with room for their new versions no index is written
create index heartbeats_1m_minute on public.heartbeats_1m (minute);

comment on table  public.heartbeats_1m                is 'The stored readings of a customer and minute, added up; the mean is heart_rate_sum / readings.';
comment on column public.heartbeats_1m.heart_rate_sum is 'Beats per minute, added up over the readings.';
comment on column public.heartbeats_1m.low            is 'Readings whose anomaly is low.';
comment on column public.heartbeats_1m.high           is 'Readings whose anomaly is high.';

create table public.customer_latest (
  customer_id text        collate "C" primary key,
  ts          timestamptz not null,
  heart_rate  smallint    not null,
  anomaly     text        collate "C"
) with (fillfactor = 45);

comment on table public.customer_latest is 'The reading of each customer with the latest instant, whenever it arrived.';

-- The state of the rollup. Every transaction that changes heartbeats_1m or customer_latest, or deletes changes, locks this
-- row first.
create table public.rollup (
  only_row     boolean     primary key default true check (only_row),
  cursor       timestamptz,
  committed_at timestamptz not null default now()
);
insert into public.rollup default values;

comment on table public.rollup is
  'The follower that brings heartbeats_1m and customer_latest up to date from ingest_changes, many changes in a round.';
comment on column public.rollup.cursor is
  'Null: no rebuild. Else minutes are rebuilt from the rows, newest first, and are exact from here on; infinity: none is yet.';
comment on column public.rollup.committed_at is 'When the last round was committed.';

-- No foreign key to the ledger: its lock would make the ingest wait.
create table public.rollup_positions (
  ledger_id   bigint primary key,
  move        bigint not null,
  next_offset bigint not null
) with (fillfactor = 50);

comment on table public.rollup_positions is
  'The last change of each ledger row that the rollup applied. Without a row here it is at move 0 and first_offset.';

create view public.rollup_lag as
select ledger.id as ledger_id, ledger.topic, ledger.topic_id, ledger.kafka_partition, ledger.generation,
       ledger.next_offset - coalesce(position.next_offset, ledger.first_offset) as offsets,
       case when ledger.moves = coalesce(position.move, 0) then 0
            else greatest(0, extract(epoch from now() - coalesce(
              (select change.written_at
                 from public.ingest_changes change
                where change.ledger_id = ledger.id
                  and change.move > coalesce(position.move, 0)
                order by change.move
                limit 1),
              ledger.updated_at))) end::float8 as lag_seconds
  from public.ingest_offsets ledger
  left join public.rollup_positions position on position.ledger_id = ledger.id;

comment on view public.rollup_lag is
  'How far the rollup is behind each ledger row: in offsets, and the age of the first change that waits.';

create view public.heartbeats_1m_pending as
select entry.*
  from public.rollup
 cross join public.ingest_changes change
  left join public.rollup_positions position on position.ledger_id = change.ledger_id
 cross join lateral unnest(change.customer_ids, change.minutes, change.readings, change.sums, change.lows, change.highs,
                           change.low_counts, change.high_counts, change.last_ts, change.last_rates, change.last_anomalies)
       as entry (customer_id, minute, readings, heart_rate_sum, heart_rate_min, heart_rate_max, low, high,
                 last_ts, last_heart_rate, last_anomaly)
 where change.move > coalesce(position.move, 0)
   and entry.minute >= coalesce(rollup.cursor, '-infinity');

comment on view public.heartbeats_1m_pending is
  'Changes that wait for the rollup, to be added to heartbeats_1m; a customer and minute may have several rows.';

-- Consumers -----------------------------------------------------------------------------------------------------------

create table public.consumer_status (
  consumer           text        primary key,
  host               text        not null,
  pid                integer     not null,
  version            text        not null,
  group_id           text        not null,
  topic              text        not null,
  topic_id           uuid,
  started_at         timestamptz not null,
  seen_at            timestamptz not null default now(),
  partitions         integer[]   not null,
  log_end_offsets    bigint[]    not null,
  reasons            text[]      not null,
  limits             jsonb       not null,
  rollup_lag_seconds float8
) with (fillfactor = 50);

comment on table  public.consumer_status                 is 'What each consumer says of itself every 5 s; one whose row is older than 15 s is not running. An orderly stop deletes the row.';
comment on column public.consumer_status.partitions      is 'The Kafka partitions that it reads.';
comment on column public.consumer_status.log_end_offsets is 'Committed end of each of those logs, as asked just now; null where it is not known.';
comment on column public.consumer_status.reasons         is 'Why it is not ready; empty when it is.';
comment on column public.consumer_status.limits          is 'Its valid range (min, max) and alarm thresholds (low, high), beats per minute.';

-- Retention -----------------------------------------------------------------------------------------------------------

create table public.heartbeat_retention (
  id             bigint      generated always as identity primary key,
  partition      text        not null,
  lower_bound    timestamptz,
  upper_bound    timestamptz not null,
  dropped_rows   bigint      check (dropped_rows >= 0),
  dropped_at     timestamptz not null default now(),
  detached       name,
  counted_blocks bigint      not null default 0,
  counted_rows   bigint      not null default 0,
  reopened_at    timestamptz
);
-- The newest upper_bound is the floor. Minutes outlive the rows that they were counted from, so no reading below the floor
-- is stored: it would be counted twice.
create index heartbeat_retention_floor on public.heartbeat_retention (upper_bound) where reopened_at is null;

comment on table public.heartbeat_retention is
  'Old readings that were dropped. A reading that the ledger counts as stored is in heartbeats or is counted here.';
comment on column public.heartbeat_retention.dropped_rows is 'Null while the rows of the table in detached are being counted.';
comment on column public.heartbeat_retention.dropped_at   is 'While dropped_rows is null: when rows were last counted.';
comment on column public.heartbeat_retention.detached is
  'The table that the partition became. It is dropped in the transaction that counts the last of its rows.';
comment on column public.heartbeat_retention.reopened_at is
  'When the range was opened again. The row still counts what was dropped, but no longer sets the floor.';

create table public.heartbeat_retention_bound (
  only_row boolean     primary key default true check (only_row),
  before   timestamptz not null
);

comment on table public.heartbeat_retention_bound is
  'The day before which the consumers want no readings. A partition that ends before it is overdue.';

-- Lowers the floor to the minute of an instant, so that readings from there on can be stored again. The minutes and the
-- latest readings of the range are deleted, and the rollup rebuilds them from the rows that are left.
-- Returns the floor; null when there is none.
create function public.reopen_heartbeats(since timestamptz)
returns timestamptz
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  new_floor  constant timestamptz := date_trunc('minute', since, 'UTC');
  old_floor  timestamptz;
  exact_from timestamptz;
begin
  -- No round of the rollup runs meanwhile. The ingest goes on.
  perform from public.rollup for update;
  -- Nothing raises the floor meanwhile.
  lock table only public.heartbeats in share update exclusive mode;
  select max(upper_bound) into old_floor from public.heartbeat_retention where reopened_at is null;
  if old_floor is null or old_floor <= new_floor then
    return old_floor;
  end if;
  update public.heartbeat_retention set reopened_at = now() where reopened_at is null and upper_bound > new_floor;
  if isfinite(new_floor) then
    insert into public.heartbeat_retention (partition, upper_bound, dropped_rows) values ('reopened', new_floor, 0);
  end if;
  -- A partition may end within a minute: that minute is rebuilt as a whole.
  exact_from := date_trunc('minute', old_floor + interval '59.999999 seconds', 'UTC');
  delete from public.heartbeats_1m where minute >= new_floor and minute < exact_from;
  delete from public.customer_latest where ts >= new_floor and ts < old_floor;
  -- A rebuild that is under way above the range goes on into it.
  update public.rollup set cursor = greatest(cursor, exact_from);
  return nullif(new_floor, '-infinity');
end
$$;

-- Partitions ----------------------------------------------------------------------------------------------------------

-- The ranges of a table's partitions without the default; -infinity stands for minvalue.
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

-- Makes the partition of an instant, unless one covers it, and returns its name.
-- A partition is a day while that is recent, a month when it is older, and one for all that is older than five years; less
-- where its neighbours leave less room. A statement over all partitions locks each of them and its two indexes, in a table
-- of some 8,600 places with PostgreSQL's default settings: when there are many, new ones are coarser. Older readings reach
-- that limit first, so that recent days always find room.
-- Rows of the range that sit in the default partition are moved in the same transaction. Writers to the default wait, so
-- only the first of many rows are moved: the partition ends behind them, and the next call goes on there.
create function public.ensure_heartbeat_partition(parent regclass, at timestamptz)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
declare
  days_until   constant integer := 730;      -- partitions, from which on recent readings get months: two years of days
  months_until constant integer := 500;      -- partitions, from which on older readings get years
  max_moved    constant integer := 100000;   -- rows: about a second
  max_pieces   constant integer := 100;      -- partitions, in all, that begin behind the last row that was moved
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
      return child;   -- most calls end here, at the first look and without a lock
    end if;
    -- One call at a time: two that make the same partition, or overlapping ones, would fail each other. Attaching takes this
    -- lock anyway. Readings are read and written beside it, and only the owner can take it.
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
    -- In UTC, whatever the time zone of the session is.
    to_bound := ((from_bound at time zone 'UTC') + ('1 ' || unit)::interval) at time zone 'UTC';
  end if;
  select greatest(from_bound, max(p.upper_bound) filter (where p.upper_bound <= at)),
         least(to_bound, min(p.lower_bound) filter (where p.lower_bound > at))
    into from_bound, to_bound
    from public.heartbeat_partitions(parent) p;

  -- A session without a time limit, such as an owner's, moves all rows at once.
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
  -- No row of the range may enter the default behind the move. The lock is as strong as attaching needs it from the start:
  -- a lock that is made stronger later deadlocks with a writer that reads the default first. It is waited for briefly,
  -- since all other sessions wait behind it.
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

-- Some readings that sit in the default partition, at most one of each day, found among the first of them.
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

-- Does one step towards dropping the partitions that end before an instant. Returns the partition that the step is about;
-- null when none is left. The first step detaches the oldest partition and writes its row in heartbeat_retention. Each
-- further step counts some of its rows, with no lock that another session waits for; the last of them drops the table.
create function public.drop_old_heartbeat_partition(parent regclass, before timestamptz)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
declare
  blocks_at_once constant bigint := 128;
  -- Well within statement_timeout, whatever that is.
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

  -- While another session counts a table, this one goes on with the next.
  select * into counting from public.heartbeat_retention r where r.dropped_rows is null order by r.id limit 1 for update skip locked;
  if found then
    -- No session writes to the detached table, so the count stays right.
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

  -- Detaching locks the whole table for a moment, and all other sessions wait behind a session that waits for that lock. So
  -- each try waits briefly, and longer than the one before: batches end between two tries or within the longest one; a dump
  -- of the database does not. Between two tries no lock is kept, so that partitions can be made.
  for try in 0..3 loop
    if not exists (select from public.heartbeat_partitions(parent) p where p.upper_bound <= before) then
      return null;   -- most calls end here, without a lock
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
  -- Renamed, so that the day can be made again.
  new_name := format('%s_dropped_%s', oldest.relname, counting.id);
  update public.heartbeat_retention set detached = new_name where id = counting.id;
  execute format('alter table %s detach partition public.%I', parent, oldest.relname);
  execute format('alter table public.%I rename to %I', oldest.relname, new_name);
  -- A role that could read its rows through the parent still can, and so can count them.
  for reader in
    select acl.grantee from pg_class, aclexplode(relacl) acl
     where pg_class.oid = parent and acl.privilege_type = 'SELECT' and acl.grantee <> 0
  loop
    execute format('grant select on public.%I to %s', new_name, reader);
  end loop;
  return counting.partition;
end
$$;

-- Deletes readings older than an instant, rounded down to a day, from some blocks of a partition that is not dropped for
-- them: the default, or one that also holds younger readings. Counts them in heartbeat_retention, in the same transaction.
-- The first call that finds an old reading deletes none: it waits for the batches that are being written, and writes the
-- row that raises the floor to that day. From then on no older reading is stored, so none can be deleted, stored again and
-- counted twice in its minute.
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
  announced      bigint;
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
  -- Locked, so that reopen_heartbeats waits until the deleted rows are counted. Two sessions may have announced the day:
  -- one of their rows counts.
  select r.id into announced
    from public.heartbeat_retention r
   where r.partition = full_name and r.upper_bound = day and r.detached is null and r.reopened_at is null
   order by r.id
   limit 1
     for update;
  blocks := pg_relation_size(partition) / current_setting('block_size')::integer;
  while next_block < blocks and clock_timestamp() < until loop
    execute format('%s from %s where ctid >= ''(%s,0)'' and ctid < ''(%s,0)'' and ts < %L',
      case when announced is null then 'select' else 'delete' end, full_name, next_block, next_block + blocks_at_once, day);
    get diagnostics found_rows = row_count;
    if found_rows > 0 and announced is null then
      -- Waited for briefly, since readers and writers wait behind it.
      perform set_config('lock_timeout', '0.5s', true);
      lock table only public.heartbeats in share row exclusive mode;
      insert into public.heartbeat_retention (partition, upper_bound, dropped_rows) values (full_name, day, 0);
      return next_block;
    end if;
    total := total + found_rows;
    next_block := next_block + blocks_at_once;
  end loop;
  if total > 0 then
    update public.heartbeat_retention set dropped_rows = dropped_rows + total, dropped_at = now() where id = announced;
  end if;
  return case when next_block < blocks then next_block end;
end
$$;

-- Rights: the owner alone calls what changes partitions, until a role is granted it.
revoke all on function public.ensure_heartbeat_partition(regclass, timestamptz) from public;
revoke all on function public.heartbeats_without_partition(regclass) from public;
revoke all on function public.drop_old_heartbeat_partition(regclass, timestamptz) from public;
revoke all on function public.delete_old_heartbeats(regclass, timestamptz, bigint) from public;
revoke all on function public.reopen_heartbeats(timestamptz) from public;
