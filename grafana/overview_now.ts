/** The overview's upper half. It shows the present for any chosen time range. */
import { PanelBuilder as TableBuilder } from "@grafana/grafana-foundation-sdk/table";
import { customerLink, framed } from "./frame.ts";
import { LIMITS } from "./limits.ts";
import { anomalyCell, BPM, COLOUR, heartRateCell, steps } from "./look.ts";
import { FOLLOWS, stat } from "./panels.ts";
import { table } from "./sources.ts";
import { consumersRunning, lag, latestReading, rollupLag, unaccounted } from "./stats.ts";

/** A customer stays in the list for this long after an anomaly. */
const LATELY = "10 minutes";
/** After a longer silence the sensor is probably no longer in use. */
const FORGOTTEN_AFTER = "24 hours";

const QUIET_SINCE = "now() - make_interval(mins => $quiet_minutes)";

/**
 * Customers with an anomaly now or in the last minutes. The column `beyond` says how far the latest reading is outside
 * the alarm limits.
 */
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

export function states() {
  return [
    stat({
      id: 1,
      title: "Need attention",
      description: `Customers with a reading outside ${LIMITS.lowBpm} to ${LIMITS.highBpm} bpm in the last ` +
        `${LATELY}.${FOLLOWS}`,
      empty: "No readings yet",
      sql: `${NEEDS_ATTENTION}
  select count(*) as "Need attention"
    from concerned`,
      steps: steps(COLOUR.within, [1, COLOUR.high]),
    }),
    stat({
      id: 2,
      title: "Reporting",
      description: `Customers with a reading in the number of minutes chosen at the top.${FOLLOWS}`,
      empty: "No readings yet",
      sql: `
      select count(*) as "Reporting"
        from public.customer_latest
       where ts > ${QUIET_SINCE}`,
      steps: steps(COLOUR.warning, [1, COLOUR.within]),
    }),
    stat({
      id: 3,
      title: "Gone quiet",
      description:
        `Customers without a reading in the number of minutes chosen at the top, but with one in the last ` +
        `${FORGOTTEN_AFTER}.${FOLLOWS}`,
      empty: "No readings yet",
      sql: `
      select count(*) as "Gone quiet"
        from public.customer_latest
       where ts <= ${QUIET_SINCE}
         and ts > now() - interval '${FORGOTTEN_AFTER}'`,
      steps: steps(COLOUR.within, [1, COLOUR.warning]),
    }),
    latestReading(4),
    lag(5),
    unaccounted(6),
    rollupLag(16),
    consumersRunning(17),
  ];
}

export function attention() {
  return framed(new TableBuilder(), {
    id: 7,
    title: "Who needs attention now",
    description:
      "The list begins with customers whose latest reading is outside the alarm limits, the furthest first. Then come " +
      `customers who had an anomaly in the last ${LATELY}. A click on a customer opens the customer's dashboard.${FOLLOWS}`,
    empty: `No customer: no reading outside ${LIMITS.lowBpm} to ${LIMITS.highBpm} bpm in the last ${LATELY}`,
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
      "Customers without a reading in the number of minutes chosen at the top. The list begins with customers whose last reading " +
      `was an anomaly. Then come the others, the most recent first. After ${FORGOTTEN_AFTER} of silence a customer is no ` +
      `longer shown.${FOLLOWS}`,
    empty: "No customer: every customer of the last 24 hours is reporting",
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
