import {
  GraphDrawStyle,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  VisibilityMode,
} from "@grafana/grafana-foundation-sdk/common";
import { PanelBuilder as TableBuilder } from "@grafana/grafana-foundation-sdk/table";
import { CUSTOMER, LONG_RANGE, RAW_UP_TO, SHORT_RANGE } from "./customer_sql.ts";
import { framed } from "./frame.ts";
import { LIMITS } from "./limits.ts";
import { anomalyCell, BPM, COLOUR, colour, heartRateCell, heartRateSteps, steps } from "./look.ts";
import { FOLLOWS, overTime, type Stat, stat } from "./panels.ts";
import { series, table } from "./sources.ts";
import { rollupLag } from "./stats.ts";

/** If two readings are further apart, the line has a break, because the heart rate between them is unknown. */
const GAP_MS = 60_000;
const SILENCE = "2 minutes";

const heartRateStat = (of: Omit<Stat, "steps">) =>
  stat({ ...of, steps: heartRateSteps }).unit(BPM).decimals(0);

/**
 * The rollup writes `customer_latest`, so its row can be old. The query also reads `heartbeats`, but only in the time
 * range.
 */
const latest = (columns: string) => `
    select ${columns}
      from (
        select ts, heart_rate
          from public.customer_latest
         where customer_id = ${CUSTOMER}
         union all
       (select ts, heart_rate
          from public.heartbeats
         where customer_id = ${CUSTOMER}
           and $__timeFilter(ts)
         order by ts desc
         limit 1)
      ) reading
     order by ts desc
     limit 1`;

const inRange = (columns: string) => `
    select ${columns}
      from public.heartbeats_1m
     where customer_id = ${CUSTOMER}
       and $__timeFilter(minute)
    having count(*) > 0`;

export function customerStats() {
  const none = "No readings in this time range";
  return [
    heartRateStat({
      id: 1,
      title: "Latest heart rate",
      description: "The reading with the newest timestamp. It may be outside the time range.",
      empty: "Unknown customer",
      sql: latest(`heart_rate as "Heart rate"`),
    }).span(4),
    stat({
      id: 2,
      title: "Last reading",
      description: "How long ago the latest reading was measured.",
      empty: "Unknown customer",
      sql: latest(`greatest(extract(epoch from now() - ts), 0) as "Age"`),
      steps: steps(COLOUR.within, [300, COLOUR.warning], [86_400, COLOUR.high]),
    }).unit("s").decimals(0).span(4),
    ...[
      { id: 3, title: "Mean", sql: "sum(heart_rate_sum)::float8 / sum(readings)" },
      { id: 4, title: "Lowest", sql: "min(heart_rate_min)" },
      { id: 5, title: "Highest", sql: "max(heart_rate_max)" },
    ].map(({ id, title, sql }) =>
      heartRateStat({
        id,
        title,
        description: `Over all readings in the time range.${FOLLOWS}`,
        empty: none,
        sql: inRange(`${sql} as "${title}"`),
      })
    ),
    stat({
      id: 6,
      title: "Anomalies",
      description: `Readings in the time range that are outside the alarm limits.${FOLLOWS}`,
      empty: none,
      sql: inRange(`sum(low) + sum(high) as "Anomalies"`),
      steps: steps(COLOUR.within, [1, COLOUR.high]),
    }),
    rollupLag(12).span(4),
  ];
}

export function rate() {
  return overTime({
    id: 7,
    title: "Heart rate",
    description:
      `Ranges up to ${RAW_UP_TO} show every reading; longer ranges show the lowest, mean and highest of each interval. ` +
      `The dashed lines are the alarm limits, ${LIMITS.lowBpm} and ${LIMITS.highBpm} bpm. The line has a break where ` +
      `no reading came for a minute, or for an interval. Longer ranges follow the rollup: see the panel Rollup lag.`,
    empty: "No readings of this customer in this time range",
    width: 24,
    height: 12,
  }, COLOUR.within)
    .interval("1m")
    .withTarget(series(
      `
      select ts as time, heart_rate as "Heart rate"
        from public.heartbeats
       where customer_id = ${CUSTOMER}
         and $__timeFilter(ts)
         and ${SHORT_RANGE}
       order by ts`,
      "Raw",
    ))
    .withTarget(series(
      `
      select $__timeGroupAlias(minute,'$__interval',NULL),
             min(heart_rate_min) as "Lowest",
             sum(heart_rate_sum)::float8 / sum(readings) as "Mean",
             max(heart_rate_max) as "Highest"
        from public.heartbeats_1m
       where customer_id = ${CUSTOMER}
         and $__timeFilter(minute)
         and ${LONG_RANGE}
       group by 1
       order by 1`,
      "Minutes",
    ))
    .unit(BPM)
    .decimals(0)
    .min(LIMITS.minBpm)
    .max(LIMITS.maxBpm)
    .thresholds(heartRateSteps)
    .thresholdsStyle(new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed))
    .showPoints(VisibilityMode.Auto)
    .overrideByQuery("Raw", [{ id: "custom.insertNulls", value: GAP_MS }])
    .overrideByName("Lowest", [colour(COLOUR.low), { id: "custom.lineWidth", value: 1 }])
    .overrideByName("Highest", [
      colour(COLOUR.high),
      { id: "custom.lineWidth", value: 1 },
      { id: "custom.fillBelowTo", value: "Lowest" },
      { id: "custom.fillOpacity", value: 15 },
    ]);
}

export function readingsPerMinute() {
  return overTime({
    id: 8,
    title: "Readings per minute",
    description: `How often the sensor reported. An interval without a bar has no reading.${FOLLOWS}`,
    empty: "No readings of this customer in this time range",
    width: 24,
    height: 5,
  }, COLOUR.neutral)
    .interval("1m")
    .withTarget(series(`
      select $__timeGroupAlias(minute,'$__interval',0),
             sum(readings) / ($__interval_ms / 60000.0) as "Readings per minute"
        from public.heartbeats_1m
       where customer_id = ${CUSTOMER}
         and $__timeFilter(minute)
       group by 1
       order by 1`))
    .drawStyle(GraphDrawStyle.Bars)
    .fillOpacity(60)
    .lineWidth(0)
    .showPoints(VisibilityMode.Never)
    .min(0);
}

export function customerTables() {
  const size = { width: 8, height: 9 };
  return [
    framed(new TableBuilder(), {
      id: 9,
      title: "Latest readings",
      description: "The last fifty readings in the time range.",
      empty: "No readings of this customer in this time range",
      ...size,
    })
      .withTarget(table(`
        select ts as "Time", heart_rate as "Heart rate", anomaly as "Anomaly"
          from public.heartbeats
         where customer_id = ${CUSTOMER}
           and $__timeFilter(ts)
         order by ts desc
         limit 50`))
      .overrideByName("Heart rate", heartRateCell)
      .overrideByName("Anomaly", anomalyCell),
    framed(new TableBuilder(), {
      id: 10,
      title: "Silences",
      description:
        `Periods of at least ${SILENCE} without a reading, between two readings in the time range. The times are whole minutes.${FOLLOWS}`,
      empty: `No silence of ${SILENCE} in this time range`,
      ...size,
    })
      .withTarget(table(`
        with neighbours as (
          select lag(minute) over (order by minute) + interval '1 minute' as silent_from, minute as silent_to
            from public.heartbeats_1m
           where customer_id = ${CUSTOMER}
             and $__timeFilter(minute)
        )
        select silent_from as "From", silent_to as "To", extract(epoch from silent_to - silent_from) as "Silent for"
          from neighbours
         where silent_to - silent_from >= interval '${SILENCE}'
         order by silent_from desc
         limit 50`))
      .overrideByName("Silent for", [{ id: "unit", value: "s" }]),
    framed(new TableBuilder(), {
      id: 11,
      title: "Rejected records",
      description:
        "Records with this customer's id as key that were rejected in the time range. A record of this customer " +
        "without a key, or with another key, is not shown.",
      empty: "No record was rejected in this time range",
      ...size,
    })
      .withTarget(table(`
        select rejected_at as "Rejected at", reason as "Reason", left(detail, 200) as "Detail"
          from public.heartbeat_rejects
         where $__timeFilter(rejected_at)
           and key = convert_to(${CUSTOMER}, 'UTF8')
         order by rejected_at desc
         limit 50`)),
  ];
}
