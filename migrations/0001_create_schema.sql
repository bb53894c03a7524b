-- 0001_create_schema
-- Why: creates the whole schema: readings in day partitions, the ledger, the change feed, the rollup, the status of consumers,
--      and retention.
-- Locks: no existing table.

-- The version of the newest breaking migration. It is also in each row of the ledger, and a program with another generation
-- cannot write.
create function public.schema_generation()
returns integer
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select coalesce(max(version), 0) from public.schema_migrations where breaking;
end;

-- Readings ------------------------------------------------------------------------------------------------------------

create table public.heartbeats (
  -- Byte order, whatever the locale of the server: the consumer sorts ids in this order.
  customer_id text        collate "C" not null,
  ts          timestamptz not null,
  heart_rate  smallint    not null,
  anomaly     text        collate "C",
  constraint heartbeats_pkey primary key (customer_id, ts),
  constraint heartbeats_customer_id_length check (char_length(customer_id) between 1 and 128),
  constraint heartbeats_anomaly_kind check (anomaly in ('low', 'high'))
) partition by range (ts);
create index heartbeats_ts on public.heartbeats (ts);

-- Takes readings whose day partition could not be created in time. ensure_heartbeat_partition moves them later.
create table public.heartbeats_default partition of public.heartbeats default;

comment on table  public.heartbeats            is 'The readings, one row for each. A repeated (customer_id, ts) is not stored again.';
comment on column public.heartbeats.ts         is 'The instant of the measurement, exact to the microsecond.';
comment on column public.heartbeats.heart_rate is 'Beats per minute.';
comment on column public.heartbeats.anomaly    is 'low or high, or null if the heart rate was within the alarm limits at ingest.';

-- The ledger ----------------------------------------------------------------------------------------------------------

-- One row for each log that was ever read. A topic that is deleted and created again gets another topic_id. A log that is
-- truncated below next_offset gets another generation.
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
) with (fillfactor = 50);   -- each batch updates a row: with free space on the page, no index changes

comment on table public.ingest_offsets is
  'The ledger. One transaction stores the readings of a batch and moves next_offset. Each offset is counted once.';
comment on column public.ingest_offsets.moves is
  'The number of times that a consumer moved next_offset. Each move has a row in ingest_changes with this number.';
comment on column public.ingest_offsets.leader_epoch is
  'The leader epoch of the last record before leader_epoch_at, or null if it is not known.';
-- Needed if an operator moves only next_offset: compared with the epoch of another offset, the log would look truncated.
comment on column public.ingest_offsets.leader_epoch_at is
  'The next_offset to which leader_epoch belongs. If next_offset differs, the leader epoch is not known.';
comment on column public.ingest_offsets.last_event_ts  is 'The latest instant of all readings stored from this log.';
comment on column public.ingest_offsets.last_record_at is 'The Kafka timestamp of the last record in the last batch.';
comment on column public.ingest_offsets.last_batch_at  is 'When the consumer wrote the last batch that had records.';
comment on column public.ingest_offsets.schema_generation is
  'The generation of the schema, the same in all rows. A program with another generation cannot move offsets.';

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
-- Emptied rejects stay in the table. Without this index, each search for old rejects would read them again.
create index heartbeat_rejects_to_empty on public.heartbeat_rejects (rejected_at) where emptied_at is null;

comment on table public.heartbeat_rejects is 'The rejects: records that the consumer refused, one row each, with the reason.';
comment on column public.heartbeat_rejects.payload is
  'The exact bytes of the record. Null for a tombstone, or if emptied_at is set.';
comment on column public.heartbeat_rejects.emptied_at is
  'When retention removed key, payload and detail.';

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

comment on table public.ingest_gaps is
  'Offsets from from_offset (inclusive) to to_offset (exclusive) that have no committed record in Kafka.';

-- The change feed -----------------------------------------------------------------------------------------------------

-- Has no foreign key to the ledger: its lock would make the ingest wait for the rollup.
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
  -- A queue: the rollup soon deletes nearly all rows. Truncating the table would block the ingest.
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, vacuum_truncate = off,
  toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 50000, toast.vacuum_truncate = off
);
-- Not compressed: with compression, writing costs three times as much.
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
  'The change feed: one row for each move of a ledger row, written in the same transaction. Each row begins where the one before ends.';
comment on column public.ingest_changes.customer_ids is
  'All arrays have one element for each customer and minute with readings in this move.';
comment on column public.ingest_changes.last_ts is
  'With last_rates and last_anomalies: the latest reading of this customer and minute in this move.';

-- The rollup: minute aggregates and latest readings -----------------------------------------------------------------------------

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
) with (fillfactor = 45);   -- a round updates all rows of a page: with free space, no index changes
create index heartbeats_1m_minute on public.heartbeats_1m (minute);

comment on table public.heartbeats_1m is
  'Minute aggregates: the readings of a customer in one minute. The mean is heart_rate_sum / readings.';
comment on column public.heartbeats_1m.heart_rate_sum is 'The sum of the heart rates, beats per minute.';
comment on column public.heartbeats_1m.low            is 'The number of readings with the anomaly low.';
comment on column public.heartbeats_1m.high           is 'The number of readings with the anomaly high.';

create table public.customer_latest (
  customer_id text        collate "C" primary key,
  ts          timestamptz not null,
  heart_rate  smallint    not null,
  anomaly     text        collate "C"
) with (fillfactor = 45);

comment on table public.customer_latest is 'The reading with the latest instant of each customer. It is not always the last one to arrive.';

-- Every transaction that changes heartbeats_1m or customer_latest, or deletes change rows, locks this row first.
create table public.rollup (
  only_row     boolean     primary key default true check (only_row),
  cursor       timestamptz,
  committed_at timestamptz not null default now()
);
insert into public.rollup default values;

comment on table public.rollup is
  'The state of the rollup, which updates heartbeats_1m and customer_latest from ingest_changes in rounds.';
comment on column public.rollup.cursor is
  'Null: no rebuild. Otherwise minutes from this instant on are exact, and older ones will be rebuilt. Infinity: not begun.';
comment on column public.rollup.committed_at is 'When the last committed round began.';

-- Has no foreign key to the ledger: its lock would make the ingest wait.
create table public.rollup_positions (
  ledger_id   bigint primary key,
  move        bigint not null,
  next_offset bigint not null
) with (fillfactor = 50);

comment on table public.rollup_positions is
  'The last change row of each ledger row that the rollup applied. Without a row here, the rollup is at move 0 and first_offset.';

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
  'How far the rollup is behind each ledger row: the number of offsets, and the age of the first change row that it has not applied.';

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
  'Changes that the rollup has not applied, to be added to heartbeats_1m. A customer and minute can have several rows.';

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

comment on table public.consumer_status is
  'Each consumer updates its row every 5 s. If the row is older than 15 s, the consumer is not running. An orderly stop deletes it.';
comment on column public.consumer_status.partitions      is 'The partitions that the consumer reads.';
comment on column public.consumer_status.log_end_offsets is 'The last stable offset of each of these partitions, or null if it is not known.';
comment on column public.consumer_status.reasons         is 'Why the consumer is not ready. Empty if it is ready.';
comment on column public.consumer_status.limits          is 'Its valid range (min, max) and its alarm limits (low, high), beats per minute.';

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
-- The newest upper_bound is the floor. Minute aggregates outlive their readings, so a reading below the floor is not stored
-- again: it would be counted twice.
create index heartbeat_retention_floor on public.heartbeat_retention (upper_bound) where reopened_at is null;

comment on table public.heartbeat_retention is
  'Readings that retention dropped. Each reading that the ledger counts as stored is in heartbeats or is counted here.';
comment on column public.heartbeat_retention.dropped_rows is 'Null until all rows of the detached table are counted.';
comment on column public.heartbeat_retention.dropped_at is
  'When the rows were dropped. While dropped_rows is null: when rows were last counted.';
comment on column public.heartbeat_retention.detached is
  'The name of the detached table. The transaction that counts its last rows drops it.';
comment on column public.heartbeat_retention.reopened_at is
  'When reopen_heartbeats opened the range again. This row still counts the dropped readings, but no longer sets the floor.';

create table public.heartbeat_retention_bound (
  only_row boolean     primary key default true check (only_row),
  before   timestamptz not null
);

comment on table public.heartbeat_retention_bound is
  'The consumers keep no readings from before this day. A day partition that ends earlier should already have been dropped.';

-- Lowers the floor to the minute of an instant, so that readings from there on can be stored again. Deletes the minute
-- aggregates and latest readings of the range. The rollup rebuilds them from the readings that are left.
-- Returns the floor, or null if there is none.
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
  -- Keeps the rollup from running a round. The ingest continues.
  perform from public.rollup for update;
  -- Keeps retention from raising the floor.
  lock table only public.heartbeats in share update exclusive mode;
  select max(upper_bound) into old_floor from public.heartbeat_retention where reopened_at is null;
  if old_floor is null or old_floor <= new_floor then
    return old_floor;
  end if;
  update public.heartbeat_retention set reopened_at = now() where reopened_at is null and upper_bound > new_floor;
  if isfinite(new_floor) then
    insert into public.heartbeat_retention (partition, upper_bound, dropped_rows) values ('reopened', new_floor, 0);
  end if;
  -- A day partition can end within a minute. This minute is rebuilt as a whole.
  exact_from := date_trunc('minute', old_floor + interval '59.999999 seconds', 'UTC');
  delete from public.heartbeats_1m where minute >= new_floor and minute < exact_from;
  delete from public.customer_latest where ts >= new_floor and ts < old_floor;
  -- A rebuild that is still above the range will continue into it.
  update public.rollup set cursor = greatest(cursor, exact_from);
  return nullif(new_floor, '-infinity');
end
$$;

-- Partitions ----------------------------------------------------------------------------------------------------------

-- The ranges of all day partitions, without the default partition. -infinity means minvalue.
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

-- Creates the day partition of an instant, unless it exists, and returns its name.
-- It holds a day if the instant is recent, and a month if it is older. One partition holds everything older than five years.
-- A range is shorter if a neighbour covers a part of it. A statement over all partitions locks each of them and its two
-- indexes, and with PostgreSQL's default settings the lock table has about 8,600 entries. So with many partitions, new ones
-- have longer ranges. Old readings reach this limit first, so that recent days always get a partition.
-- The same transaction moves the readings of the range out of the default partition. Writers to the default partition wait,
-- so if there are many readings, only the first ones are moved: the new partition ends after them, and the next call continues.
create function public.ensure_heartbeat_partition(parent regclass, at timestamptz)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
declare
  days_until   constant integer := 730;      -- with this many partitions (two years of days), recent readings get months
  months_until constant integer := 500;      -- with this many partitions, older readings get years
  max_moved    constant integer := 100000;   -- about a second
  max_pieces   constant integer := 100;      -- maximum of partitions that begin after moved readings
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
      return child;   -- most calls end here, without a lock
    end if;
    -- Lets one call run at a time: two calls with the same or overlapping partitions would make each other fail. Attaching
    -- needs this lock anyway. It does not block reading or writing, and only the owner can take it.
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
    -- In UTC, whatever the time zone of the session.
    to_bound := ((from_bound at time zone 'UTC') + ('1 ' || unit)::interval) at time zone 'UTC';
  end if;
  select greatest(from_bound, max(p.upper_bound) filter (where p.upper_bound <= at)),
         least(to_bound, min(p.lower_bound) filter (where p.lower_bound > at))
    into from_bound, to_bound
    from public.heartbeat_partitions(parent) p;

  -- A session without a statement_timeout, such as an owner's, moves all readings at once.
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
  -- After the move, no reading of the range may enter the default partition. This is already the lock that attaching needs:
  -- a weaker lock that becomes stronger later can deadlock with a writer. The wait is short, because all other sessions queue
  -- behind it.
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

-- One reading of each of at most 32 days in the default partition. Looks only at the first 10,000 readings that it finds.
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

-- Takes one step towards dropping the partitions that end before an instant. Returns the partition of this step, or null if
-- none is left. The first step detaches the oldest partition and adds a row to heartbeat_retention. Each further step counts
-- some of its readings, and blocks no other session. The last step drops the table.
create function public.drop_old_heartbeat_partition(parent regclass, before timestamptz)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
declare
  blocks_at_once constant bigint := 128;
  -- Well within statement_timeout.
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

  -- If another session counts a table, this session continues with the next one.
  select * into counting from public.heartbeat_retention r where r.dropped_rows is null order by r.id limit 1 for update skip locked;
  if found then
    -- No session writes to the detached table, so the count stays correct.
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

  -- Detaching locks the whole table briefly, and all other sessions queue behind a session that waits for this lock. So each
  -- attempt waits only a short time, longer than the one before. Transactions of batches are shorter than this, a dump of the
  -- database is not. Between two attempts no lock is held, so that partitions can be created.
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
  -- The new name allows the day partition to be created again.
  new_name := format('%s_dropped_%s', oldest.relname, counting.id);
  update public.heartbeat_retention set detached = new_name where id = counting.id;
  execute format('alter table %s detach partition public.%I', parent, oldest.relname);
  execute format('alter table public.%I rename to %I', oldest.relname, new_name);
  -- A role that could read the readings through the parent table can still read and count them.
  for reader in
    select acl.grantee from pg_class, aclexplode(relacl) acl
     where pg_class.oid = parent and acl.privilege_type = 'SELECT' and acl.grantee <> 0
  loop
    execute format('grant select on public.%I to %s', new_name, reader);
  end loop;
  return counting.partition;
end
$$;

-- Deletes readings that are older than an instant, rounded down to a day, from some blocks of a partition that stays: the
-- default partition, or one that also holds newer readings. The same transaction counts them in heartbeat_retention.
-- The first call that finds an old reading deletes nothing. It waits for batches in flight, and adds the row that raises the
-- floor to this day. After that, no older reading is stored, so none can be deleted, stored again, and counted twice.
-- Returns the block where the next call continues, or null at the end.
create function public.delete_old_heartbeats(partition regclass, before timestamptz, from_block bigint)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
declare
  blocks_at_once constant bigint := 32;
  -- Shorter than the time that ensure_heartbeat_partition waits for the default partition.
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
  -- Locked, so that reopen_heartbeats waits until the deleted readings are counted. If two sessions announced this day, both
  -- use the first row.
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
      -- The wait is short, because writers queue behind it.
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

-- Only the owner can change partitions, until another role gets the right to.
revoke all on function public.ensure_heartbeat_partition(regclass, timestamptz) from public;
revoke all on function public.heartbeats_without_partition(regclass) from public;
revoke all on function public.drop_old_heartbeat_partition(regclass, timestamptz) from public;
revoke all on function public.delete_old_heartbeats(regclass, timestamptz, bigint) from public;
revoke all on function public.reopen_heartbeats(timestamptz) from public;
