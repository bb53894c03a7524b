import { PanelBuilder as TableBuilder } from "@grafana/grafana-foundation-sdk/table";
import { framed } from "./frame.ts";
import {
  COMPARED_UP_TO,
  CURRENT_LOGS,
  LAG_RECORDS,
  LAG_SECONDS,
  MINUTES_AGAINST_ROWS,
  RUNS,
} from "./ledger_sql.ts";
import { COLOUR, consumerCell, filledCell, steps } from "./look.ts";
import { FOLLOWS, overTime, stat } from "./panels.ts";
import { series, table } from "./sources.ts";
import {
  ageSteps,
  consumersRunning,
  lag,
  latestReading,
  NO_END,
  NOTHING_YET,
  rollupLag,
  unaccounted,
} from "./stats.ts";

export function health() {
  return [
    stat({
      id: 1,
      title: "Last batch",
      description:
        "Age of the last batch with records, of any partition. It grows while nothing is published and while no " +
        "consumer can write.",
      empty: NOTHING_YET,
      sql: `
      select extract(epoch from now() - max(last_batch_at)) as "Age"
        from public.ingest_offsets`,
      steps: ageSteps,
    }).unit("s").decimals(0),
    latestReading(2),
    lag(3),
    stat({
      id: 4,
      title: "Lag in time",
      description:
        "Age of the last stored record of the slowest partition with lag. For a partition without a running " +
        "consumer, it is the time since a consumer last asked Kafka for the end of the log.",
      empty: NO_END,
      sql: `
      select max(${LAG_SECONDS}) as "Lag"
        from (${CURRENT_LOGS}) log`,
      steps: steps(COLOUR.within, [10, COLOUR.warning], [60, COLOUR.high]),
    }).unit("s").decimals(0),
    unaccounted(5),
    stat({
      id: 6,
      title: "Minute aggregates against rows",
      description:
        "Compares the readings of the last whole minutes: the number of rows, minus the readings in the minute " +
        "aggregates and in the change rows that wait for the rollup. Any value but 0 is a defect. " +
        "`deno task reconcile` compares all readings.",
      empty: `${NOTHING_YET}, or more than ${COMPARED_UP_TO} records wait for the rollup`,
      sql: `
      select (${MINUTES_AGAINST_ROWS}) as "Difference"`,
      steps: steps(COLOUR.within, [1, COLOUR.high]),
    }).timeFrom("3m"),
    rollupLag(14),
    consumersRunning(15),
  ];
}

/** The query first sums by minute, so that the macro's slow arithmetic runs once per minute and not once per row. */
export function throughput() {
  return overTime({
    id: 7,
    title: "Stored readings",
    description:
      "Readings per second by the minute of the timestamp. A reading that arrives late is added to the minute in " +
      `which it was measured.${FOLLOWS}`,
    empty: "No readings in this time range",
    width: 12,
    height: 8,
  }, COLOUR.within)
    .interval("1m")
    .maxDataPoints(120)
    .withTarget(series(`
      select $__timeGroupAlias(minute,'$__interval',0),
             sum(readings) / ($__interval_ms / 1000.0) as "Stored"
        from (
          select minute, sum(readings) as readings
            from public.heartbeats_1m
           where $__timeFilter(minute)
           group by minute
        ) of_all
       group by 1
       order by 1`))
    .fillOpacity(20)
    .min(0)
    .unit("suffix:readings/s");
}

export function partitions() {
  return framed(new TableBuilder(), {
    id: 8,
    title: "Partitions",
    description:
      "Each partition that was read in the last 24 hours. Asked: when a consumer last asked Kafka for the end of the log. " +
      "Rollup behind: records that wait for the rollup. The delays say how old the newest record and the newest " +
      "measurement of the last batch were when it was written.",
    empty: "No batch was written in the last 24 hours",
    width: 24,
    height: 8,
  })
    .withTarget(table(`
      select topic as "Topic",
             kafka_partition as "Partition",
             next_offset as "Next offset",
             log_end as "End of the log",
             seen_at as "Asked Kafka",
             ${LAG_RECORDS} as "Lag",
             ${LAG_SECONDS} as "Lag in time",
             (select offsets from public.rollup_lag where ledger_id = log.id) as "Rollup behind",
             last_batch_at as "Last batch",
             greatest(extract(epoch from last_batch_at - last_record_at), 0) as "Delay from Kafka",
             greatest(extract(epoch from last_batch_at - last_event_ts), 0) as "Delay from measurement"
        from (${CURRENT_LOGS}) log
       order by "Lag" desc nulls last, topic, kafka_partition
       limit 200`))
    .overrideByRegexp("/^Asked|^Last batch/", [{ id: "unit", value: "dateTimeFromNow" }])
    .overrideByRegexp("/in time|Delay/", [{ id: "unit", value: "s" }, { id: "decimals", value: 1 }]);
}

export function consumers() {
  return [
    framed(new TableBuilder(), {
      id: 16,
      title: "Consumers",
      description:
        "The status that each consumer of the last 24 hours writes every 5 s. A consumer without a status for 15 s was " +
        "killed, or it cannot write.",
      empty: "No consumer ran in the last 24 hours",
      width: 16,
      height: 7,
    })
      .withTarget(table(`
        select left(consumer, 8) as "Consumer", host as "Host", pid as "Process", version as "Version",
               case when not ${RUNS} then 'not running'
                    when reasons = '{}' then 'ready'
                    else 'not ready' end as "State",
               array_to_string(partitions, ', ') as "Partitions", array_to_string(reasons, '; ') as "Why not ready",
               (limits->>'low') || ' to ' || (limits->>'high') as "Alarm limits",
               rollup_lag_seconds as "Rollup lag", started_at as "Started", seen_at as "Last seen"
          from public.consumer_status
         where seen_at > now() - interval '24 hours'
         order by seen_at desc
         limit 50`))
      .overrideByName("State", consumerCell)
      .overrideByName("Rollup lag", [{ id: "unit", value: "s" }, { id: "decimals", value: 1 }])
      .overrideByRegexp("/^Started|^Last seen/", [{ id: "unit", value: "dateTimeFromNow" }]),
    framed(new TableBuilder(), {
      id: 17,
      title: "Rollup",
      description:
        "The rollup updates the minute aggregates and each customer's latest reading. Records behind: records that wait " +
        "for the rollup. Exact from: during a rebuild, minute aggregates at or after this minute are exact.",
      empty: "The rollup has no row",
      width: 8,
      height: 7,
    })
      .withTarget(table(`
        select case when cursor is null then 'follows'
                    when cursor = 'infinity' then 'rebuild is due'
                    else 'rebuilds' end as "State",
               (select coalesce(sum(offsets), 0) from public.rollup_lag) as "Records behind",
               committed_at as "Last round",
               case when isfinite(cursor) then cursor end as "Exact from"
          from public.rollup`))
      .overrideByName("Last round", [{ id: "unit", value: "dateTimeFromNow" }]),
  ];
}

// deno-lint-ignore house/max-function-lines -- a list of panels, read one at a time
export function ledger() {
  return [
    framed(new TableBuilder(), {
      id: 10,
      title: "Ledger",
      description:
        "A row for every partition that was ever read, newest first. Each offset counts in exactly one of the columns " +
        "Stored, Duplicates, Rejected and Gaps, so Unaccounted is 0. A topic that was created again has new rows.",
      empty: NOTHING_YET,
      width: 16,
      height: 9,
    })
      .withTarget(table(`
        select topic as "Topic", kafka_partition as "Partition", generation as "Generation",
               first_offset as "First offset", next_offset as "Next offset",
               stored as "Stored", duplicates as "Duplicates", rejected as "Rejected", gaps as "Gaps",
               next_offset - first_offset - stored - duplicates - rejected - gaps as "Unaccounted",
               updated_at as "Updated"
          from public.ingest_offsets
         order by id desc
         limit 200`))
      .overrideByName("Unaccounted", [
        { id: "thresholds", value: steps(COLOUR.high, [0, COLOUR.within], [1, COLOUR.high]).build() },
        filledCell,
      ])
      .overrideByName("Updated", [{ id: "unit", value: "dateTimeFromNow" }]),
    framed(new TableBuilder(), {
      id: 11,
      title: "Gaps",
      description:
        "Offsets without a record for the consumer, by cause. Only log_start means that Kafka deleted records before " +
        "they were read.",
      empty: "No gaps",
      width: 8,
      height: 9,
    })
      .withTarget(table(`
        select cause as "Cause", count(*) as "Ranges", sum(to_offset - from_offset) as "Offsets",
               max(noticed_at) as "Last noticed"
          from public.ingest_gaps
         group by cause
         order by cause`))
      .overrideByName("Last noticed", [{ id: "unit", value: "dateTimeFromNow" }]),
    framed(new TableBuilder(), {
      id: 12,
      title: "Rejects by reason",
      description: "Rejected records in the time range, the most frequent reason first.",
      empty: "No record was rejected in this time range",
      width: 12,
      height: 8,
    })
      .withTarget(table(`
        select reason as "Reason", count(*) as "Records", max(rejected_at) as "Last"
          from public.heartbeat_rejects
         where $__timeFilter(rejected_at)
         group by reason
         order by 2 desc, 1`))
      .overrideByName("Last", [{ id: "unit", value: "dateTimeFromNow" }]),
    framed(new TableBuilder(), {
      id: 13,
      title: "Dropped by retention",
      description:
        "Day partitions that were dropped because of RETENTION_DAYS. Their readings still count as stored in the " +
        "ledger. While a row has no number of readings, they are being counted.",
      empty: "No day partition was dropped",
      width: 12,
      height: 8,
    })
      .withTarget(table(`
        select partition as "Day partition", lower_bound as "From", upper_bound as "To", dropped_rows as "Readings",
               dropped_at as "Dropped"
          from public.heartbeat_retention
         order by id desc
         limit 50`)),
  ];
}
