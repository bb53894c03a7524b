/** SQL about the ledger and the rollup that panels and alert rules share, indented to stand in brackets. */

/** A consumer says every 5 s that it runs. */
export const RUNS = "seen_at > now() - interval '15 seconds'";

/** A log that nobody wrote to for longer is not read any more: another topic, a partition of a deleted one. */
const ABANDONED_AFTER = "24 hours";

/** The newest incarnation of each partition that is still read, and the end of its log as a consumer told it last. */
export const CURRENT_LOGS = `
            select *
              from (
                select distinct on (topic, kafka_partition) *
                  from public.ingest_offsets
                 where updated_at > now() - interval '${ABANDONED_AFTER}'
                 order by topic, kafka_partition, id desc
              ) newest
              left join (
                select distinct on (topic_id, kafka_partition) topic_id, kafka_partition, log_end, seen_at
                  from public.consumer_status
                 cross join lateral unnest(partitions, log_end_offsets) as told (kafka_partition, log_end)
                 where log_end is not null
                 order by topic_id, kafka_partition, seen_at desc
              ) told using (topic_id, kafka_partition)`;

/** Lag of a row of CURRENT_LOGS; null while no consumer has stored the end of the log. */
export const LAG_RECORDS = "case when log_end is not null then greatest(log_end - next_offset, 0) end";

/**
 * As the metric heartbeat_lag_seconds has it: the age of the last stored record while there is lag. Without lag, but with
 * no running consumer that asks for the end of the log, what came since the last answer may wait.
 */
export const LAG_SECONDS = `
            case when log_end > next_offset
                 then greatest(extract(epoch from now() - coalesce(last_record_at, opened_at)), 0)
                 when ${RUNS} then 0
                 else extract(epoch from now() - seen_at) end`;

/** Seconds: the age of the first change that waits for the rollup. */
export const ROLLUP_LAG = "select coalesce(max(lag_seconds), 0) from public.rollup_lag";

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

/** Records. With more than that waiting for the rollup, adding them up would take longer than a panel may. */
export const COMPARED_UP_TO = 100_000;

/**
 * Readings of whole minutes, recounted: the minute table and what waits for the rollup against the rows. One statement
 * sees them equal at any moment; in a rebuild from its cursor on. Null when more waits than COMPARED_UP_TO. The filter
 * alone, with its literal bounds, lets the planner skip partitions.
 */
export const MINUTES_AGAINST_ROWS = `
            with whole as (
              select greatest(date_trunc('minute', $__timeFrom()::timestamptz) + interval '1 minute', cursor) as first,
                     date_trunc('minute', $__timeTo()::timestamptz) as behind
                from public.rollup
            ), minutes as (
              select coalesce(sum(readings), 0) as readings
                from public.heartbeats_1m, whole
               where $__timeFilter(minute) and minute >= first and minute < behind
            ), pending as (
              select coalesce(sum(readings), 0) as readings
                from public.heartbeats_1m_pending, whole
               where minute >= first and minute < behind
            ), raw as (
              select count(*) as readings
                from public.heartbeats, whole
               where $__timeFilter(ts) and ts >= first and ts < behind
            )
            select abs(minutes.readings + pending.readings - raw.readings)
              from minutes, pending, raw
             where (select sum(offsets) from public.rollup_lag) <= ${COMPARED_UP_TO}`;
