/** SQL about the rollup and the ledger, for panels and alert rules. It is indented for use in brackets. */
import { LOG_ENDS } from "../workers/_shared/ledger_sql.ts";

export { LAG_RECORDS, LAG_SECONDS, RUNS, UNACCOUNTED } from "../workers/_shared/ledger_sql.ts";

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
              left join (${LOG_ENDS}
              ) told using (topic_id, kafka_partition)`;

export const ROLLUP_LAG = "select coalesce(max(lag_seconds), 0) from public.rollup_lag";

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
