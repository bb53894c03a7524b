/** SQL about the ledger and the rollup, for panels and alert rules. It is indented for use in brackets. */

/** A consumer writes its status every 5 s. After 15 s without a status, it counts as not running. */
export const RUNS = "seen_at > now() - interval '15 seconds'";

/** A partition without a write for longer is no longer read, for example because its topic was deleted. */
const ABANDONED_AFTER = "24 hours";

/**
 * One row for each partition that is read: the ledger row of its newest incarnation, with the newest log end offset
 * that a consumer wrote.
 */
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

/** Lag of a row of CURRENT_LOGS. It is null until a consumer has written the end of the log. */
export const LAG_RECORDS = "case when log_end is not null then greatest(log_end - next_offset, 0) end";

/**
 * Like the metric heartbeat_lag_seconds, this is the age of the last stored record while there is lag. If there is no
 * lag and no running consumer, records may have arrived since a consumer last asked for the end of the log. Then this is
 * the time since that moment.
 */
export const LAG_SECONDS = `
            case when log_end > next_offset
                 then greatest(extract(epoch from now() - coalesce(last_record_at, opened_at)), 0)
                 when ${RUNS} then 0
                 else extract(epoch from now() - seen_at) end`;

export const ROLLUP_LAG = "select coalesce(max(lag_seconds), 0) from public.rollup_lag";

/** Sum over all ledger rows. It adds absolute values, because a surplus must not cancel a deficit. */
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

/** If more records wait for the rollup, adding them up takes longer than a panel may. */
export const COMPARED_UP_TO = 100_000;

/**
 * Compares the rows of whole minutes with their minute aggregates and the change rows that wait for the rollup. One
 * statement has one snapshot, so the difference is always 0. During a rebuild, the query compares only minutes at or
 * after the cursor. The result is null if more than COMPARED_UP_TO records wait.
 *
 * `$__timeFilter` has literal bounds, so the planner can skip day partitions. The bounds of `whole` are known only when
 * the query runs.
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
