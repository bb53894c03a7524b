/** The pipeline as the ledger tells it. */
import { PanelBuilder as TableBuilder } from "@grafana/grafana-foundation-sdk/table";
import { framed } from "./frame.ts";
import { CURRENT_LOGS, LAG_RECORDS, LAG_SECONDS, MINUTES_AGAINST_ROWS, UNACCOUNTED } from "./ledger_sql.ts";
import { COLOUR, filledCell, steps } from "./look.ts";
import { overTime, stat } from "./panels.ts";
import { series, table } from "./sources.ts";

const NOTHING_YET = "Nothing was ingested yet";
const NOT_LATELY = "Nothing was ingested in the last 24 hours";
const ageSteps = steps(COLOUR.within, [60, COLOUR.warning], [300, COLOUR.high]);

// deno-lint-ignore house/max-function-lines -- a list of panels, read one at a time
export function health() {
  const size = { width: 4, height: 4 };
  const ofCurrentLogs = (expression: string) => `
      select ${expression}
        from (${CURRENT_LOGS}) log`;
  return [
    stat(
      {
        id: 1,
        title: "Last batch",
        description:
          "Age of the last batch with records, of any partition. It grows when nothing is published, and " +
          "when no consumer is alive; the lag would stand still then.",
        empty: NOTHING_YET,
        ...size,
      },
      `
      select extract(epoch from now() - max(last_batch_at)) as "Age"
        from public.ingest_offsets`,
      ageSteps,
    ).unit("s").decimals(0),
    stat(
      {
        id: 2,
        title: "Newest measurement",
        description: "Age of the latest measurement that was stored.",
        empty: NOTHING_YET,
        ...size,
      },
      `
      select greatest(extract(epoch from now() - max(last_event_ts)), 0) as "Age"
        from public.ingest_offsets`,
      ageSteps,
    ).unit("s").decimals(0),
    stat(
      {
        id: 3,
        title: "Lag",
        description:
          "Records that were in Kafka and not stored when each partition's last batch was written.",
        empty: NOT_LATELY,
        ...size,
      },
      ofCurrentLogs(`sum(${LAG_RECORDS}) as "Lag"`),
      steps(COLOUR.within, [10_000, COLOUR.warning], [100_000, COLOUR.high]),
    ).unit("short"),
    stat(
      {
        id: 4,
        title: "Lag in time",
        description: "Age of the last stored record, of the slowest partition that has lag.",
        empty: NOT_LATELY,
        ...size,
      },
      ofCurrentLogs(`max(${LAG_SECONDS}) as "Lag"`),
      steps(COLOUR.within, [10, COLOUR.warning], [60, COLOUR.high]),
    ).unit("s").decimals(0),
    stat(
      {
        id: 5,
        title: "Unaccounted",
        description:
          "next_offset - first_offset - stored - duplicates - rejected - gaps, of every log, and the gaps " +
          "recounted from their table. Anything but 0 is a defect.",
        empty: NOTHING_YET,
        ...size,
      },
      `
      select (${UNACCOUNTED}) as "Unaccounted"`,
      steps(COLOUR.within, [1, COLOUR.high]),
    ),
    stat(
      {
        id: 6,
        title: "Minute table against rows",
        description:
          "Readings of the last whole minutes, counted in the rows and summed in the minute table. They " +
          "are written in one transaction: anything but 0 is a defect. All of history: `deno task reconcile`.",
        empty: NOTHING_YET,
        ...size,
      },
      `
      select (${MINUTES_AGAINST_ROWS}) as "Difference"`,
      steps(COLOUR.within, [1, COLOUR.high]),
    ).timeFrom("3m"),
  ];
}

export function throughput() {
  return overTime({
    id: 7,
    title: "Stored readings",
    description:
      "Readings per second by the minute of the measurement. What arrives late is added to the minute in " +
      "which it was measured.",
    empty: "No readings in this time range",
    width: 12,
    height: 8,
  }, COLOUR.within)
    .interval("1m")
    .maxDataPoints(120)
    // Summed by minute first: the macro's arithmetic is slow, and this way done once a minute and not once a row.
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
      "Each partition that was read in the last 24 hours, as of its last batch: lag, when the batch was " +
      "written, and how old its newest record and measurement were then.",
    empty: NOT_LATELY,
    width: 24,
    height: 8,
  })
    .withTarget(table(`
      select topic as "Topic",
             kafka_partition as "Partition",
             next_offset as "Next offset",
             log_end_offset as "End of the log",
             ${LAG_RECORDS} as "Lag",
             ${LAG_SECONDS} as "Lag in time",
             last_batch_at as "Last batch",
             greatest(extract(epoch from last_batch_at - last_record_at), 0) as "Delay from Kafka",
             greatest(extract(epoch from last_batch_at - last_event_ts), 0) as "Delay from measurement"
        from (${CURRENT_LOGS}) log
       order by ${LAG_RECORDS} desc nulls last, topic, kafka_partition
       limit 200`))
    .overrideByName("Last batch", [{ id: "unit", value: "dateTimeFromNow" }])
    .overrideByRegexp("/in time|Delay/", [{ id: "unit", value: "s" }, { id: "decimals", value: 1 }]);
}

// deno-lint-ignore house/max-function-lines -- a list of panels, read one at a time
export function ledger() {
  return [
    framed(new TableBuilder(), {
      id: 10,
      title: "The ledger",
      description:
        "Every log that was ever read, newest first: each offset is in exactly one of the four columns " +
        "between, and unaccounted is 0. A topic that was deleted and made again has rows of its own.",
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
        "Offsets that Kafka has no committed record for, by cause. Only log_start means that something was " +
        "deleted before it was read.",
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
      description: "In the time range, most frequent first.",
      empty: "Nothing was rejected in this time range",
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
      title: "Dropped for their age",
      description:
        "Partitions of readings that RETENTION_DAYS dropped, with their rows: they were stored once, and " +
        "count as stored for ever. Without a number they are still being counted.",
      empty: "Nothing was dropped",
      width: 12,
      height: 8,
    })
      .withTarget(table(`
        select partition as "Partition", lower_bound as "From", upper_bound as "To", dropped_rows as "Readings",
               dropped_at as "Dropped"
          from public.heartbeat_retention
         order by id desc
         limit 50`)),
  ];
}
