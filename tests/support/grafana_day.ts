/** The id has quotes, a comment, a Grafana macro, percent signs, and letters beyond ASCII. */
export const HOSTILE_CUSTOMER = `o'brien"; -- $__timeFilter(ts) \${quiet_minutes} %41%zz\\ é心😀`;

// The day ends now. Each query of the union has data for one or more panels.
const READINGS = `
  insert into public.heartbeats (customer_id, ts, heart_rate, anomaly)
  select customer_id, ts, heart_rate, case when heart_rate < 45 then 'low' when heart_rate > 180 then 'high' end
    from (
      -- Twenty normal customers, one of them without readings for half an hour.
      select 'c-' || lpad(n::text, 4, '0') as customer_id, ts, 60 + 2 * n as heart_rate
        from generate_series(1, 20) n
       cross join generate_series(now() - interval '24 hours', now() - interval '1 second', interval '30 seconds') ts
       where n <> 7 or ts not between now() - interval '4 hours' and now() - interval '210 minutes'
      union all
      -- High now, by 10, and with an episode of three minutes ten hours ago.
      select 'high-now', ts, case when ts > now() - interval '5 minutes' then 190
                                  when ts between now() - interval '10 hours' and now() - interval '597 minutes' then 200
                                  else 80 end
        from generate_series(now() - interval '24 hours', now() - interval '1 second', interval '30 seconds') ts
      union all
      -- Low now, by 12.
      select 'low-now', ts, 33 from generate_series(now() - interval '2 minutes', now(), interval '20 seconds') ts
      union all
      -- High until four minutes ago.
      select 'high-lately', ts, case when ts < now() - interval '4 minutes' then 185 else 90 end
        from generate_series(now() - interval '6 minutes', now(), interval '20 seconds') ts
      union all
      -- One without readings for twenty minutes, and one for six hours whose last reading was an anomaly.
      select 'quiet', now() - n * interval '20 minutes', 70 from generate_series(1, 3) n
      union all
      select 'quiet-and-low', now() - n * interval '6 hours', 40 from generate_series(1, 3) n
      union all
      select $1, ts, 75 from generate_series(now() - interval '30 minutes', now(), interval '1 second') ts
    ) reading`;

// The rollup is 70 s behind, so change rows always wait for a part of the last whole minute.
const ROLLED_UP_UNTIL = "now() - interval '70 seconds'";

// The state of a rollup with two waiting change rows. The first has waited for 20 s.
const DERIVED = `
  insert into public.heartbeats_1m
  select customer_id, date_trunc('minute', ts), count(*), sum(heart_rate), min(heart_rate), max(heart_rate),
         count(*) filter (where anomaly = 'low'), count(*) filter (where anomaly = 'high')
    from public.heartbeats
   where ts <= ${ROLLED_UP_UNTIL}
   group by 1, 2;
  insert into public.customer_latest
  select distinct on (customer_id) customer_id, ts, heart_rate, anomaly
    from public.heartbeats
   where ts <= ${ROLLED_UP_UNTIL}
   order by customer_id, ts desc;
  insert into public.rollup_positions (ledger_id, move, next_offset) values (1, 1, 900), (2, 6, 4610), (3, 5, 3000);
  insert into public.ingest_changes
  select 2, move, 4610 + 200 * (move - 7), 4810 + 200 * (move - 7),
         array_agg(customer_id), array_agg(minute), array_agg(readings), array_agg(sum), array_agg(min), array_agg(max),
         array_agg(low), array_agg(high), array_agg(last), array_agg(rates[1]), array_agg(anomalies[1]),
         now() - (9 - move) * interval '10 seconds'
    from (
      select case when customer_id < 'd' then 7 else 8 end as move, customer_id, date_trunc('minute', ts) as minute,
             count(*)::integer as readings, sum(heart_rate)::integer, min(heart_rate), max(heart_rate),
             count(*) filter (where anomaly = 'low')::integer as low,
             count(*) filter (where anomaly = 'high')::integer as high,
             max(ts) as last, array_agg(heart_rate order by ts desc) as rates, array_agg(anomaly order by ts desc) as anomalies
        from public.heartbeats
       where ts > ${ROLLED_UP_UNTIL}
       group by 1, 2, 3
    ) entry
   group by move`;

// Two partitions are in use, and one of them is 30 s behind. A third partition belongs to a deleted topic.
const LEDGER = `
  insert into public.ingest_offsets (topic, topic_id, kafka_partition, first_offset, next_offset, moves, stored,
         duplicates, rejected, gaps, last_event_ts, last_record_at, last_batch_at, updated_at)
  values ('heartbeats', '00000000-0000-0000-0000-000000000001', 0, 0, 900, 1, 900, 0, 0, 0,
          now() - interval '3 days', now() - interval '3 days', now() - interval '3 days', now() - interval '3 days'),
         ('heartbeats', '00000000-0000-0000-0000-000000000002', 0, 10, 5010, 8, 4900, 20, 60, 20,
          now() - interval '31 seconds', now() - interval '30 seconds', now() - interval '29 seconds', now()),
         ('heartbeats', '00000000-0000-0000-0000-000000000002', 1, 0, 3000, 5, 3000, 0, 0, 0,
          now() - interval '3 seconds', now() - interval '2 seconds', now() - interval '1 second', now());
  insert into public.ingest_gaps (ledger_id, from_offset, to_offset, cause)
  values (2, 100, 110, 'control'), (2, 200, 210, 'aborted');
  insert into public.heartbeat_retention (partition, lower_bound, upper_bound, dropped_rows)
  values ('heartbeats_d20200101', '2020-01-01', '2020-01-02', 5)`;

// The first consumer reads both partitions, the second cannot read, and the third was killed three hours ago.
const CONSUMERS = `
  insert into public.consumer_status (consumer, host, pid, version, group_id, topic, topic_id, started_at, seen_at, partitions,
         log_end_offsets, reasons, limits)
  select consumer, 'host', 7, '0.1.0', 'heartbeat-consumer', 'heartbeats', '00000000-0000-0000-0000-000000000002',
         now() - interval '1 day', seen_at, partitions::integer[], log_end_offsets::bigint[], reasons::text[], '{"low": 45, "high": 180}'
    from (values ('killed', now() - interval '3 hours', '{0,1}', '{4000,3100}', '{}'),
                 ('reads', now(), '{1,0}', '{3000,5510}', '{}'),
                 ('waits', now() - interval '1 second', '{}', '{}', '{the schema is not current}')
         ) status (consumer, seen_at, partitions, log_end_offsets, reasons)`;

// One reject has a customer's key, one has no key, and one has a key that is not UTF-8. 57 are spread over the day.
const REJECTS = `
  insert into public.heartbeat_rejects
         (ledger_id, topic, kafka_partition, kafka_offset, reason, detail, key, payload, rejected_at)
  select 2, 'heartbeats', 0, place, reason, detail, key, '\\x00ff'::bytea, rejected_at
    from (values
      (1000, 'invalid_heart_rate', 'heart_rate is "x"', convert_to($1, 'UTF8'), now() - interval '10 minutes'),
      (1001, 'tombstone', 'no value', null, now() - interval '11 minutes'),
      (1002, 'invalid_json', 'not JSON', '\\xff00fe'::bytea, now() - interval '12 minutes')
    ) one (place, reason, detail, key, rejected_at)
   union all
  select 2, 'heartbeats', 0, 2000 + n, 'heart_rate_out_of_range', 'is 300', convert_to('c-0001', 'UTF8'), '{}'::bytea,
         now() - n * interval '25 minutes'
    from generate_series(1, 57) n`;

type Execute = (sql: string, values?: readonly unknown[]) => Promise<unknown>;

/** Fills a migrated, empty database with a day of data that every panel can show. */
export async function insertDay(execute: Execute): Promise<void> {
  await execute(
    `select public.ensure_heartbeat_partition('public.heartbeats', day)
       from generate_series(now() - interval '7 days', now() + interval '2 days', interval '1 day') day`,
  );
  await execute(READINGS, [HOSTILE_CUSTOMER]);
  await execute(DERIVED);
  await execute(LEDGER);
  await execute(CONSUMERS);
  await execute(REJECTS, [HOSTILE_CUSTOMER]);
  await execute("analyze");
}
