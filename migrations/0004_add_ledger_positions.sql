-- 0004_add_ledger_positions
-- Why: lag, freshness and delay must be visible from PostgreSQL alone, also when no consumer is left to ask.
-- Locks: ingest_offsets exclusively for a moment; no rewrite.

alter table public.ingest_offsets
  add column log_end_offset bigint,
  add column last_event_ts  timestamptz,
  add column last_record_at timestamptz,
  add column last_batch_at  timestamptz;

comment on column public.ingest_offsets.log_end_offset is 'Committed end of the log when the last batch was written.';
comment on column public.ingest_offsets.last_event_ts  is 'Latest instant of a reading that was stored from this log.';
comment on column public.ingest_offsets.last_record_at is 'Kafka''s timestamp of the last record of the last batch.';
comment on column public.ingest_offsets.last_batch_at  is 'When the last batch with records was written.';
