/** The overview's upper half: it tells of this moment, whatever time range is chosen. */
import { PanelBuilder as TableBuilder } from "@grafana/grafana-foundation-sdk/table";
import { customerLink, framed } from "./frame.ts";
import { CURRENT_LOGS, LAG_RECORDS, UNACCOUNTED } from "./ledger_sql.ts";
import { LIMITS } from "./limits.ts";
import { anomalyCell, BPM, COLOUR, heartRateCell, steps } from "./look.ts";
import { stat } from "./panels.ts";
import { table } from "./sources.ts";

/** How long an anomaly that is over keeps its customer in the list. */
const LATELY = "10 minutes";
/** Who was silent for longer is no news: a sensor that was given back. */
const FORGOTTEN_AFTER = "24 hours";

const QUIET_SINCE = "now() - make_interval(mins => $quiet_minutes)";

/** Customers with an anomaly now or lately, and how far the latest reading is beyond its threshold. */
const NEEDS_ATTENTION = `
  with lately as (
    select customer_id, sum(low) as low, sum(high) as high
      from public.heartbeats_1m
     where minute > now() - interval '${LATELY}'
       and low + high > 0
     group by customer_id
  ), concerned as (
    select customer_id, heart_rate, ts,
           case when ts > now() - interval '${LATELY}' then anomaly end as anomaly,
           coalesce(low, 0) as low, coalesce(high, 0) as high,
           greatest(${LIMITS.lowBpm} - heart_rate, heart_rate - ${LIMITS.highBpm}, 0) as beyond
      from public.customer_latest
      left join lately using (customer_id)
     where lately.customer_id is not null
        or anomaly is not null and ts > now() - interval '${LATELY}'
  )`;

// deno-lint-ignore house/max-function-lines -- a list of panels, read one at a time
export function states() {
  const size = { width: 4, height: 4 };
  return [
    stat(
      {
        id: 1,
        title: "Need attention",
        description:
          `Customers whose latest reading is outside ${LIMITS.lowBpm} to ${LIMITS.highBpm} bpm, or was ` +
          `within the last ${LATELY}.`,
        empty: "No readings yet",
        ...size,
      },
      `${NEEDS_ATTENTION}
  select count(*) as "Need attention"
    from concerned`,
      steps(COLOUR.within, [1, COLOUR.high]),
    ),
    stat(
      {
        id: 2,
        title: "Reporting",
        description: "Customers with a reading since the time chosen at the top.",
        empty: "No readings yet",
        ...size,
      },
      `
      select count(*) as "Reporting"
        from public.customer_latest
       where ts > ${QUIET_SINCE}`,
      steps(COLOUR.warning, [1, COLOUR.within]),
    ),
    stat(
      {
        id: 3,
        title: "Gone quiet",
        description:
          `Customers without a reading since the time chosen at the top, but with one in the last ` +
          `${FORGOTTEN_AFTER}.`,
        empty: "No readings yet",
        ...size,
      },
      `
      select count(*) as "Gone quiet"
        from public.customer_latest
       where ts <= ${QUIET_SINCE}
         and ts > now() - interval '${FORGOTTEN_AFTER}'`,
      steps(COLOUR.within, [1, COLOUR.warning]),
    ),
    stat(
      {
        id: 4,
        title: "Latest reading",
        description:
          "Age of the latest reading of all. It grows when no readings come in or the pipeline stands.",
        empty: "No readings yet",
        ...size,
      },
      `
      select greatest(extract(epoch from now() - max(ts)), 0) as "Age"
        from public.customer_latest`,
      steps(COLOUR.within, [60, COLOUR.warning], [300, COLOUR.high]),
    ).unit("s").decimals(0),
    stat(
      {
        id: 5,
        title: "Lag",
        description:
          "Records in Kafka that were not stored when the last batch was written. A dead consumer's lag " +
          "stands still: look at Latest reading, too.",
        empty: "Nothing was ingested in the last 24 hours",
        ...size,
      },
      `
      select sum(${LAG_RECORDS}) as "Lag"
        from (${CURRENT_LOGS}) log`,
      steps(COLOUR.within, [10_000, COLOUR.warning], [100_000, COLOUR.high]),
    ).unit("short"),
    stat(
      {
        id: 6,
        title: "Unaccounted",
        description:
          "Records that the ledger cannot explain. Anything but 0 is a defect; `deno task reconcile` " +
          "says where.",
        empty: "Nothing was ingested yet",
        ...size,
      },
      `
      select (${UNACCOUNTED}) as "Unaccounted"`,
      steps(COLOUR.within, [1, COLOUR.high]),
    ),
  ];
}

export function attention() {
  return framed(new TableBuilder(), {
    id: 7,
    title: "Who needs attention now",
    description:
      "Worst first: those outside the thresholds at this moment by how far they are, then those who were " +
      `outside in the last ${LATELY}. A click on a customer opens their history.`,
    empty: `Nobody: no reading outside ${LIMITS.lowBpm} to ${LIMITS.highBpm} bpm in the last ${LATELY}`,
    width: 14,
    height: 10,
  })
    .withTarget(table(`${NEEDS_ATTENTION}
  select customer_id as "Customer",
         case when anomaly is not null then anomaly || ' now'
              when low > 0 and high > 0 then 'low and high lately'
              when low > 0 then 'low lately'
              else 'high lately' end as "State",
         heart_rate as "Heart rate",
         beyond as "Beyond threshold",
         low + high as "Anomalies, ${LATELY}",
         ts as "Last reading"
    from concerned
   order by anomaly is null, beyond desc, low + high desc, customer_id
   limit 50`))
    .overrideByName("Customer", [customerLink])
    .overrideByName("State", anomalyCell)
    .overrideByName("Heart rate", heartRateCell)
    .overrideByName("Beyond threshold", [{ id: "unit", value: BPM }])
    .overrideByName("Last reading", [{ id: "unit", value: "dateTimeFromNow" }]);
}

export function quiet() {
  return framed(new TableBuilder(), {
    id: 8,
    title: "Who went quiet",
    description:
      "Customers without a reading since the time chosen at the top: those whose last reading was an " +
      `anomaly first, then the most recent. Silent for more than ${FORGOTTEN_AFTER}: not shown.`,
    empty: "Nobody: every customer of the last 24 hours is reporting",
    width: 10,
    height: 10,
  })
    .withTarget(table(`
      select customer_id as "Customer",
             ts as "Last reading",
             heart_rate as "Heart rate",
             anomaly as "Anomaly"
        from public.customer_latest
       where ts <= ${QUIET_SINCE}
         and ts > now() - interval '${FORGOTTEN_AFTER}'
       order by anomaly is null, ts desc
       limit 50`))
    .overrideByName("Customer", [customerLink])
    .overrideByName("Last reading", [{ id: "unit", value: "dateTimeFromNow" }])
    .overrideByName("Heart rate", heartRateCell)
    .overrideByName("Anomaly", anomalyCell);
}
