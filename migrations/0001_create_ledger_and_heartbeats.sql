-- 0001_create_ledger_and_heartbeats
-- Why: the first version: readings, what was refused, and the ledger that accounts for every Kafka offset.
-- Locks: nothing that exists; new tables only.

create table public.heartbeats (
  -- Byte order, so that every writer and every index agrees on it whatever the server's locale.
  customer_id text        collate "C" not null,
  ts          timestamptz not null,
  heart_rate  smallint    not null,
  anomaly     text        collate "C",
  constraint heartbeats_pkey primary key (customer_id, ts),
  constraint heartbeats_customer_id_length check (char_length(customer_id) between 1 and 128),
  constraint heartbeats_anomaly_kind check (anomaly in ('low', 'high'))
);
create index heartbeats_ts on public.heartbeats (ts);

comment on table  public.heartbeats            is 'One row a reading; a repeated (customer_id, ts) is never stored twice.';
comment on column public.heartbeats.ts         is 'Instant of the measurement, exact to the microsecond.';
comment on column public.heartbeats.heart_rate is 'Beats per minute.';
comment on column public.heartbeats.anomaly    is 'low, high, or null when within the alarm thresholds at ingest.';

-- One row for each log that was ever read: a partition of one incarnation of a topic. A topic that is deleted and made
-- again has another topic_id; a log that was cut below what we had read begins a new generation.
create table public.ingest_offsets (
  id              bigint      generated always as identity primary key,
  topic           text        collate "C" not null,
  topic_id        uuid        not null,
  kafka_partition integer     not null check (kafka_partition >= 0),
  generation      integer     not null default 0,
  first_offset    bigint      not null check (first_offset >= 0),
  next_offset     bigint      not null,
  stored          bigint      not null default 0 check (stored >= 0),
  duplicates      bigint      not null default 0 check (duplicates >= 0),
  rejected        bigint      not null default 0 check (rejected >= 0),
  gaps            bigint      not null default 0 check (gaps >= 0),
  opened_at       timestamptz not null default now(),
  updated_at      timestamptz not null default now(),
  constraint ingest_offsets_log unique (topic_id, kafka_partition, generation),
  constraint ingest_offsets_accounted check (next_offset - first_offset = stored + duplicates + rejected + gaps)
) with (fillfactor = 50);   -- updated with every batch: room on the page keeps those updates off the indexes

comment on table public.ingest_offsets is
  'The ledger. next_offset moves in the transaction that stores what lies before it; every offset is counted once.';

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
  primary key (ledger_id, kafka_offset)
);
create index heartbeat_rejects_rejected_at on public.heartbeat_rejects (rejected_at);

comment on column public.heartbeat_rejects.payload is 'The exact bytes; null for a tombstone.';

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
