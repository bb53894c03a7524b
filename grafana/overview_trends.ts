/** The overview's lower half: distributions, counts over time, and the latest rows. */
import { HeatmapCellLayout, StackingMode, VisibilityMode } from "@grafana/grafana-foundation-sdk/common";
import { PanelBuilder as BarChartBuilder } from "@grafana/grafana-foundation-sdk/barchart";
import {
  HeatmapColorMode,
  HeatmapColorOptionsBuilder,
  PanelBuilder as HeatmapBuilder,
  RowsHeatmapOptionsBuilder,
  YAxisConfigBuilder,
} from "@grafana/grafana-foundation-sdk/heatmap";
import { PanelBuilder as TableBuilder } from "@grafana/grafana-foundation-sdk/table";
import { customerLink, framed } from "./frame.ts";
import { CURRENT_LOGS } from "./ledger_sql.ts";
import { LIMITS } from "./limits.ts";
import { anomalyCell, BPM, COLOUR, colour, filledCell, fixed, heartRateCell, steps } from "./look.ts";
import { countsOverTime, FOLLOWS } from "./panels.ts";
import { series, table } from "./sources.ts";

/** Width of a bucket in beats per minute. The last bucket includes the highest valid heart rate. */
const BUCKET = 10;
const BUCKETS = Math.ceil((LIMITS.maxBpm - LIMITS.minBpm) / BUCKET);
const bucketOf = (rate: string) =>
  `least(greatest((${rate} - ${LIMITS.minBpm}) / ${BUCKET}, 0), ${BUCKETS - 1})`;

export function distributionNow() {
  return framed(new BarChartBuilder(), {
    id: 9,
    title: "Heart rates now",
    description:
      "Number of reporting customers by their latest heart rate. The colours change at the alarm limits of " +
      `${LIMITS.lowBpm} and ${LIMITS.highBpm} bpm.${FOLLOWS}`,
    empty: "No customer is reporting",
    width: 10,
    height: 9,
  })
    .withTarget(table(`
      select ${LIMITS.minBpm} + ${BUCKET} * bucket || '–' || ${LIMITS.minBpm} + ${BUCKET} * bucket + ${
      BUCKET - 1
    } as "bpm",
             count(*) filter (where heart_rate < ${LIMITS.lowBpm}) as "Low",
             count(*) filter (where heart_rate between ${LIMITS.lowBpm} and ${LIMITS.highBpm}) as "Within",
             count(*) filter (where heart_rate > ${LIMITS.highBpm}) as "High"
        from generate_series(0, ${BUCKETS - 1}) bucket
        left join public.customer_latest
          on ${bucketOf("heart_rate")} = bucket
         and ts > now() - make_interval(mins => $quiet_minutes)
       group by bucket
       order by bucket`))
    .colorScheme(fixed(COLOUR.within))
    .xField("bpm")
    .stacking(StackingMode.Normal)
    .fillOpacity(80)
    .axisLabel("customers")
    .xTickLabelSpacing(50)
    .overrideByName("Low", [colour(COLOUR.low)])
    .overrideByName("Within", [colour(COLOUR.within)])
    .overrideByName("High", [colour(COLOUR.high)]);
}

/**
 * The query reads one minute for each interval, so a month costs as much as an hour. `lateral` makes PostgreSQL use the
 * index for each minute; a join would read the whole table. The heat map stacks the columns in the order of the query.
 * /
 */
export function distributionOverTime() {
  const columns = Array.from({ length: BUCKETS }, (_, bucket) => {
    return `coalesce(sum(customers) filter (where bucket = ${bucket}), 0) as "${
      LIMITS.minBpm + bucket * BUCKET
    }"`;
  });
  return framed(new HeatmapBuilder(), {
    id: 10,
    title: "Heart rates over time",
    description:
      "Number of customers by their mean heart rate in the first minute of each interval. A label on the axis " +
      `is the lower end of a band of ${BUCKET} bpm. A brighter cell has more customers.${FOLLOWS}`,
    empty: "No readings in this time range",
    width: 14,
    height: 9,
  })
    .interval("1m")
    .maxDataPoints(60)
    .withTarget(series(`
      with counted as (
        select at, bucket, customers
          from generate_series(
                 date_bin($__interval_ms * interval '1 ms', $__timeFrom()::timestamptz, 'epoch'::timestamptz),
                 $__timeTo()::timestamptz,
                 $__interval_ms * interval '1 ms') at
         cross join lateral (
           select ${bucketOf("heart_rate_sum / readings")} as bucket, count(*) as customers
             from public.heartbeats_1m
            where minute = at
            group by 1
         ) of_minute
      )
      select at as time,
             ${columns.join(",\n             ")}
        from counted
       group by at
       order by at`))
    .calculate(false)
    .showValue(VisibilityMode.Never)
    .rowsFrame(new RowsHeatmapOptionsBuilder().layout(HeatmapCellLayout.Ge).value("customers"))
    .yAxis(new YAxisConfigBuilder().unit(BPM))
    .color(
      new HeatmapColorOptionsBuilder().mode(HeatmapColorMode.Scheme).scheme("Cividis").exponent(0.5).steps(64)
        .min(0),
    )
    .showLegend();
}

export function anomalies() {
  return countsOverTime(
    {
      id: 11,
      title: "Anomalies by kind",
      description:
        `Readings below ${LIMITS.lowBpm} or above ${LIMITS.highBpm} bpm, by the minute of the timestamp.${FOLLOWS}`,
      empty: "No anomalies in this time range",
      width: 12,
      height: 8,
    },
    COLOUR.high,
    `
    select $__timeGroupAlias(minute,'$__interval',0),
           sum(low) as "Low",
           sum(high) as "High"
      from public.heartbeats_1m
     where $__timeFilter(minute)
       and low + high > 0
     group by 1
     order by 1`,
  ).decimals(0).overrideByName("Low", [colour(COLOUR.low)]).overrideByName("High", [colour(COLOUR.high)]);
}

export function latest() {
  return [
    { id: 13, title: "Latest readings", what: "readings", condition: "" },
    { id: 14, title: "Latest anomalies", what: "anomalies", condition: " and anomaly is not null" },
  ].map(({ id, title, what, condition }) =>
    framed(new TableBuilder(), {
      id,
      title,
      description: `The last twenty ${what} in the time range, by timestamp.`,
      empty: `No ${what} in this time range`,
      width: 8,
      height: 9,
    })
      .withTarget(table(`
        select ts as "Time", customer_id as "Customer", heart_rate as "Heart rate", anomaly as "Anomaly"
          from public.heartbeats
         where $__timeFilter(ts)${condition}
         order by ts desc
         limit 20`))
      .overrideByName("Customer", [customerLink])
      .overrideByName("Heart rate", heartRateCell)
      .overrideByName("Anomaly", anomalyCell)
  );
}

export function delay() {
  return framed(new TableBuilder(), {
    id: 15,
    title: "Ingest delay",
    description:
      "For the last batch of each partition: the time from its newest measurement to the commit, and the time from " +
      "Kafka's timestamp of its newest record to the commit.",
    empty: "No batch was written in the last 24 hours",
    width: 8,
    height: 9,
  })
    .withTarget(table(`
      select topic || '/' || kafka_partition as "Partition",
             greatest(extract(epoch from last_batch_at - last_event_ts), 0) as "From measurement",
             greatest(extract(epoch from last_batch_at - last_record_at), 0) as "From Kafka",
             last_batch_at as "Last batch"
        from (${CURRENT_LOGS}) log
       order by "From Kafka" desc nulls last, "Partition"
       limit 50`))
    .overrideByRegexp("/^From/", [
      { id: "unit", value: "s" },
      { id: "decimals", value: 1 },
      {
        id: "thresholds",
        value: steps(COLOUR.within, [10, COLOUR.warning], [60, COLOUR.high]).build(),
      },
      filledCell,
    ])
    .overrideByName("Last batch", [{ id: "unit", value: "dateTimeFromNow" }]);
}
