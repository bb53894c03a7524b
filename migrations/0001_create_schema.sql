-- 0001_create_schema
-- Why: readings, what was refused, the ledger that accounts for every Kafka offset, what follows from the readings, and
--      the functions that keep one partition a day.
-- Locks: nothing that exists; new tables only.

-- The generation is the version of the newest breaking migration.
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

-- For readings that have no partition: at absurd instants, or written while none could be made.
create table public.heartbeats_default partition of public.heartbeats default;

comment on table  public.heartbeats            is 'One row a reading; a repeated (customer_id, ts) is never stored twice.';
comment on column public.heartbeats.ts         is 'Instant of the measurement, exact to the microsecond.';
comment on column public.heartbeats.heart_rate is 'Beats per minute.';
comment on column public.heartbeats.anomaly    is 'low, high, or null when within the alarm thresholds at ingest.';

-- The ledger ----------------------------------------------------------------------------------------------------------

-- One row for each log that was ever read: a partition of one incarnation of a topic. A topic that is deleted and made
-- again has another topic_id; a log that was cut below what we had read begins a new generation.
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
  log_end_offset    bigint,
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
  'How often next_offset was moved by a consumer: the key of the row in ingest_changes that says what the move stored.';
comment on column public.ingest_offsets.leader_epoch is
  'Epoch of the leader that took the record before leader_epoch_at; null while it is not known.';
-- An operator moves next_offset alone: an epoch of another offset would make a whole log look cut.
comment on column public.ingest_offsets.leader_epoch_at is
  'The next_offset that leader_epoch belongs to; while they differ the epoch is not known.';
comment on column public.ingest_offsets.log_end_offset is 'Committed end of the log when the last batch was written.';
comment on column public.ingest_offsets.last_event_ts  is 'Latest instant of a reading that was stored from this log.';
comment on column public.ingest_offsets.last_record_at is 'Kafka''s timestamp of the last record of the last batch.';
comment on column public.ingest_offsets.last_batch_at  is 'When the last batch with records was written.';
comment on column public.ingest_offsets.schema_generation is
  'The schema''s generation, the same in all rows. A program of another generation moves no offset.';

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
-- What is emptied stays in the table: without its own index each look for the next old ones would pass over all of it.
create index heartbeat_rejects_to_empty on public.heartbeat_rejects (rejected_at) where emptied_at is null;

comment on column public.heartbeat_rejects.payload is
  'The exact bytes; null for a tombstone, and for every record once emptied_at is set.';
comment on column public.heartbeat_rejects.emptied_at is
  'When key, payload and detail were emptied, because retention does not allow to keep them.';

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

-- The change feed and what follows it ---------------------------------------------------------------------------------

-- One row for each ledger row that a transaction moves, written in that transaction. The arrays have one entry for each
-- customer and minute that got readings; all are empty when none was stored. No foreign key: its lock would make the
-- ingest wait for followers.
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
  -- A queue: nearly all rows are soon deleted, and giving the last pages back would lock the ingest out.
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, vacuum_truncate = off,
  toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 50000, toast.vacuum_truncate = off
);
-- To compress them costs three times the write.
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
  'The change feed: what each move of a ledger row stored. The moves of a ledger row are a chain without a hole.';
comment on column public.ingest_changes.last_ts is
  'With last_rates and last_anomalies: the latest reading of that customer and minute in this change.';

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
) with (fillfactor = 45);   -- a round updates whole pages: with room for all of a page's rows no index is touched
create index heartbeats_1m_minute on public.heartbeats_1m (minute);

comment on table  public.heartbeats_1m                is 'What the stored readings of a customer and minute add up to; the mean is heart_rate_sum / readings.';
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

-- The follower that keeps heartbeats_1m and customer_latest. Whoever changes those two tables or deletes changes locks
-- this row first.
create table public.rollup (
  only_row     boolean     primary key default true check (only_row),
  cursor       timestamptz,
  committed_at timestamptz not null default now()
);
insert into public.rollup default values;

comment on column public.rollup.cursor is
  'Null: all is kept up. Else a rebuild from the rows is under way, or due (infinity): minutes from the cursor on are exact.';
comment on column public.rollup.committed_at is 'When the last round was committed.';

-- Where the rollup stands in each chain; a ledger row that it has not met stands at move 0 and first_offset. No foreign
-- key: its lock would make the ingest wait.
create table public.rollup_positions (
  ledger_id   bigint primary key,
  move        bigint not null,
  next_offset bigint not null
) with (fillfactor = 50);

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
  'How far the rollup is behind each ledger row: offsets, and the age of the first change that waits.';

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
  'What waits for the rollup: to be added to heartbeats_1m, several rows for a customer and minute.';

create table public.consumer_status (
  consumer           text        primary key,
  host               text        not null,
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

comment on table  public.consumer_status                 is 'What each consumer says of itself every 5 s; one whose row is older than 15 s is not running.';
comment on column public.consumer_status.partitions      is 'The Kafka partitions that it reads.';
comment on column public.consumer_status.log_end_offsets is 'Committed end of each of those logs, as asked just now; null where it is not known.';
comment on column public.consumer_status.reasons         is 'Why it is not ready; empty when it is.';
comment on column public.consumer_status.limits          is 'Its alarm thresholds and valid range, beats per minute.';

-- Retention -----------------------------------------------------------------------------------------------------------

-- Readings that were dropped because they were old: what the ledger counts as stored is in heartbeats or here.
-- While a partition is being dropped, detached is the table that it became, and dropped_rows is null until all of its
-- rows are counted; then the table is dropped in the same transaction.
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
-- The newest upper_bound is the floor: minutes outlive the rows they were counted from, so no reading below it is stored.
create index heartbeat_retention_floor on public.heartbeat_retention (upper_bound) where reopened_at is null;

comment on column public.heartbeat_retention.dropped_rows is 'Null while the rows of the table in detached are being counted.';
comment on column public.heartbeat_retention.dropped_at   is 'While dropped_rows is null: when counting last got on.';
comment on column public.heartbeat_retention.reopened_at is
  'When the range was opened again. The row goes on to count what was dropped, but no longer sets the floor.';

-- The day before which the consumer that asked last wants no readings: what is older and still there is overdue.
create table public.heartbeat_retention_bound (
  only_row boolean     primary key default true check (only_row),
  before   timestamptz not null
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

-- A day while it is recent, a month when it is older, and one partition for all that is older than five years; less where
-- its neighbours leave less room. With many partitions the new ones are coarser, and older readings reach that limit
-- first, so that recent days always find room: a statement over all partitions locks each of them and its two indexes,
-- in a table of some 8,600 places with PostgreSQL's own settings.
-- Rows of its range that sit in the default are moved and the partition attached in this one transaction. Nobody writes to
-- the default meanwhile, so of many rows only the first ones get their partition: the next call goes on behind it.
create function public.ensure_heartbeat_partition(parent regclass, at timestamptz)
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
create function public.drop_old_heartbeat_partition(parent regclass, before timestamptz)
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

-- Lowers the floor to the minute of an instant, so that readings from there on can be stored again. The minutes of the
-- range still count readings that were dropped: the rollup rebuilds them from the rows that are left.
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
  perform from public.rollup for update;
  -- Keeps partitions from being dropped, and waits for the writers under way.
  lock table only public.heartbeats in share row exclusive mode;
  select max(upper_bound) into old_floor from public.heartbeat_retention where reopened_at is null;
  if old_floor is null or old_floor <= new_floor then
    return old_floor;
  end if;
  update public.heartbeat_retention set reopened_at = now() where reopened_at is null and upper_bound > new_floor;
  if isfinite(new_floor) then
    insert into public.heartbeat_retention (partition, upper_bound, dropped_rows) values ('reopened', new_floor, 0);
  end if;
  delete from public.customer_latest where ts >= new_floor and ts < old_floor;
  -- A partition may end within a minute: that minute is counted anew as a whole.
  update public.rollup
     set cursor = greatest(cursor, date_trunc('minute', old_floor + interval '59.999999 seconds', 'UTC'));
  return nullif(new_floor, '-infinity');
end
$$;

revoke all on function public.ensure_heartbeat_partition(regclass, timestamptz) from public;
revoke all on function public.drop_old_heartbeat_partition(regclass, timestamptz) from public;
revoke all on function public.heartbeats_without_partition(regclass) from public;
revoke all on function public.delete_old_heartbeats(regclass, timestamptz, bigint) from public;
revoke all on function public.reopen_heartbeats(timestamptz) from public;
