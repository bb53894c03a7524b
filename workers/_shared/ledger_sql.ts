/** SQL about the ledger, for dashboards, alert rules and the monitor. It is indented for use in brackets. */

/** A consumer writes its status every 5 s. After 15 s without a status, it counts as not running. */
export const RUNS = "seen_at > now() - interval '15 seconds'";

/** The newest log end offset of each log that a consumer wrote. */
export const LOG_ENDS = `
                select distinct on (topic_id, kafka_partition) topic_id, kafka_partition, log_end, seen_at
                  from public.consumer_status
                 cross join lateral unnest(partitions, log_end_offsets) as told (kafka_partition, log_end)
                 where log_end is not null
                 order by topic_id, kafka_partition, seen_at desc`;

/** Lag of a ledger row that is joined with LOG_ENDS. It is null until a consumer has written the end of the log. */
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

/**
 * Unaccounted offsets of the ledger row `log`. `recounted.offsets` is the sum of its gaps. The terms are absolute values, because
 * a surplus must not cancel a deficit.
 */
export const UNACCOUNTED_OF_LOG = `
                     abs(log.next_offset - log.first_offset - log.stored - log.duplicates - log.rejected - log.gaps)
                     + abs(log.gaps - coalesce(recounted.offsets, 0))`;

/** Sum over all ledger rows. */
export const UNACCOUNTED = `
            select coalesce(sum(${UNACCOUNTED_OF_LOG}), 0)
              from public.ingest_offsets log
              left join (
                select ledger_id, sum(to_offset - from_offset) as offsets
                  from public.ingest_gaps
                 group by ledger_id
              ) recounted on recounted.ledger_id = log.id`;
