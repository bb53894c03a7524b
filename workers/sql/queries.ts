/** The queries of README's section "Look at the data": for each its name, what it answers, and its SQL. */
export const NAMED_QUERIES = `\
-- episodes: customers beyond an alarm limit in the last hour, for how long, and how far
select customer_id, episode.*
  from (select customer_id from public.heartbeats_1m where low + high > 0 and minute > now() - interval '61 minutes'
         union
        select customer_id from public.heartbeats_1m_pending where low + high > 0 and minute > now() - interval '61 minutes') customers
 cross join lateral public.anomaly_episodes(customer_id, now() - interval '1 hour', now()) episode order by began desc;
-- readings: the latest twenty readings, without those of the scenarios task
select customer_id, ts, heart_rate from public.heartbeats where customer_id !~ '^(scenario-|1[0-2][0-9]{14}$)' order by ts desc limit 20;
-- latest: each customer's latest reading, without those of the scenarios task
select customer_id, ts, heart_rate, anomaly from public.customer_latest where customer_id !~ '^(scenario-|1[0-2][0-9]{14}$)' order by ts desc limit 20;
-- lag: how far minute aggregates and latest readings are behind the readings
select coalesce(sum(offsets), 0) as offsets, coalesce(max(lag_seconds), 0) as seconds from public.rollup_lag;
-- consumers: the consumers; if a row is older than 15 s, its consumer is not running
select host, version, partitions, reasons, now() - seen_at as seen from public.consumer_status;
-- rejects: rejected records but those of the scenarios task, with their bytes (null once REJECT_RETENTION_DAYS has passed)
select rejected_at, kafka_partition, kafka_offset, reason, detail, encode(payload, 'escape') as payload
  from public.heartbeat_rejects where substring(key from 1 for 9) is distinct from 'scenario-' order by rejected_at desc limit 20;
-- ledger: every offset that was read is counted in exactly one column
select topic, kafka_partition, first_offset, next_offset, stored, duplicates, rejected, gaps
  from public.ingest_offsets order by topic, opened_at, kafka_partition;
`;

export const QUERIES: ReadonlyMap<string, string> = new Map(
  [...NAMED_QUERIES.matchAll(/^-- (\w+): .*\n([^;]+);$/gm)].map(([, name = "", sql = ""]) => [name, sql]),
);
