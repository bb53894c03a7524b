-- 0005_add_leader_epoch
-- Why: a log that lost records and grew again has other records at offsets we read; only the leader's epoch tells.
-- Locks: ingest_offsets exclusively for a moment; no rewrite.

alter table public.ingest_offsets
  add column leader_epoch    integer check (leader_epoch >= 0),
  add column leader_epoch_at bigint;

comment on column public.ingest_offsets.leader_epoch is
  'Epoch of the leader that took the record before leader_epoch_at; null while it is not known.';
-- A program that knows no epochs moves next_offset alone, and so does an operator: an epoch of another offset would
-- make a whole log look cut.
comment on column public.ingest_offsets.leader_epoch_at is
  'The next_offset that leader_epoch belongs to; while they differ the epoch is not known.';
