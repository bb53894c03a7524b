/** SQL about the ledger that panels and alert rules share, indented to stand in brackets. */

/** A log that nobody wrote to for longer is not read any more: another topic, a partition of a deleted one. */
const ABANDONED_AFTER = "24 hours";

/** The newest incarnation of each partition that is still read. */
export const CURRENT_LOGS = `
            select distinct on (topic, kafka_partition) *
              from public.ingest_offsets
             where updated_at > now() - interval '${ABANDONED_AFTER}'
             order by topic, kafka_partition, id desc`;

/** Of a row of CURRENT_LOGS. */
export const LAG_RECORDS = "greatest(log_end_offset - next_offset, 0)";

/** As the metric heartbeat_lag_seconds has it: the age of the last stored record while there is lag. */
export const LAG_SECONDS =
  "case when log_end_offset > next_offset then greatest(extract(epoch from now() - last_record_at), 0) else 0 end";

/** What the ledger cannot explain, whichever way it is wrong; every log that was ever read. */
export const UNACCOUNTED = `
            select coalesce(sum(
                     abs(log.next_offset - log.first_offset - log.stored - log.duplicates - log.rejected - log.gaps)
                     + abs(log.gaps - coalesce(recounted.offsets, 0))), 0)
              from public.ingest_offsets log
              left join (
                select ledger_id, sum(to_offset - from_offset) as offsets
                  from public.ingest_gaps
                 group by ledger_id
              ) recounted on recounted.ledger_id = log.id`;

/**
 * Readings of whole minutes, recounted: the minute table against the rows. Both are kept in one transaction, so one
 * statement sees them equal at any moment. The filter alone, with its literal bounds, lets the planner skip partitions.
 */
export const MINUTES_AGAINST_ROWS = `
            with whole as (
              select date_trunc('minute', $__timeFrom()::timestamptz) + interval '1 minute' as first,
                     date_trunc('minute', $__timeTo()::timestamptz) as behind
            ), minutes as (
              select coalesce(sum(readings), 0) as readings
                from public.heartbeats_1m, whole
               where $__timeFilter(minute) and minute >= first and minute < behind
            ), raw as (
              select count(*) as readings
                from public.heartbeats, whole
               where $__timeFilter(ts) and ts >= first and ts < behind
            )
            select abs(minutes.readings - raw.readings)
              from minutes, raw`;
