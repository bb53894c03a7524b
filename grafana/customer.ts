import {
  AnnotationQueryBuilder,
  type DashboardBuilder,
  QueryVariableBuilder,
  VariableRefresh,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { customerStats, customerTables, rate, readingsPerMinute } from "./customer_panels.ts";
import { CUSTOMER } from "./customer_sql.ts";
import { dashboard, row, visible } from "./frame.ts";
import { COLOUR } from "./look.ts";
import { POSTGRES, table, unindent } from "./sources.ts";

export function customer(): DashboardBuilder {
  const builder = dashboard("customer", {
    title: "Heartbeat Monitoring Customer",
    description: "One customer's heart rate, anomalies, rejects and silences.",
  });
  builder
    .withVariable(customerVariable())
    .annotation(episodes("Low", "low", COLOUR.low))
    .annotation(episodes("High", "high", COLOUR.high))
    .annotation(rejected());
  for (const panel of customerStats()) builder.withPanel(panel);
  builder.withPanel(rate()).withPanel(readingsPerMinute());
  builder.withRow(row(20, "Details"));
  for (const panel of customerTables()) builder.withPanel(panel);
  return builder;
}

/** Reads at most 200 ids in the order of the primary key, so it takes the same time for any number of customers. */
function customerVariable() {
  const sql = unindent(`
    select customer_id
      from public.customer_latest
     where customer_id like '$__searchFilter'
     order by customer_id
     limit 200`);
  return new QueryVariableBuilder("customer")
    .label("Customer")
    .description(
      "Type the beginning of the id. The list shows at most 200 ids; any other id can be typed in full.",
    )
    .datasource(POSTGRES)
    .query({ refId: "customer", format: "table", rawQuery: true, editorMode: "code", rawSql: sql })
    .definition(sql)
    .refresh(VariableRefresh.OnDashboardLoad)
    .multi(false)
    .includeAll(false)
    .allowCustomValue(true);
}

/** Consecutive minutes with an anomaly are one episode and become one annotation. */
function episodes(name: string, kind: "low" | "high", color: string) {
  const extreme = kind === "low" ? "min" : "max";
  return annotation(
    name,
    color,
    `
    with flagged as (
      select minute, ${kind} as readings, heart_rate_${extreme} as extreme,
             minute - row_number() over (order by minute) * interval '1 minute' as episode
        from public.heartbeats_1m
       where customer_id = ${CUSTOMER}
         and $__timeFilter(minute)
         and ${kind} > 0
    )
    select min(minute) as time,
           max(minute) + interval '1 minute' as timeend,
           'Heart rate ${kind}: ' || sum(readings) || ' readings, ${
      kind === "low" ? "down" : "up"
    } to ' || ${extreme}(extreme) || ' bpm' as text,
           '${kind}' as tags
      from flagged
     group by episode
     order by 1 desc
     limit 200`,
  );
}

/**
 * A record's key is the customer's id in UTF-8. The query compares bytes, because the conversion of a key that is not
 * UTF-8 would fail. It uses the time of the reject, because the timestamp of the record may be wrong.
 */
function rejected() {
  return annotation(
    "Rejected",
    COLOUR.reject,
    `
    select rejected_at as time,
           'Rejected: ' || reason || ' (' || left(detail, 200) || ')' as text,
           'rejected,' || reason as tags
      from public.heartbeat_rejects
     where $__timeFilter(rejected_at)
       and key = convert_to(${CUSTOMER}, 'UTF8')
     order by 1 desc
     limit 200`,
  );
}

function annotation(name: string, color: string, sql: string) {
  const query = new AnnotationQueryBuilder()
    .name(name)
    .datasource(POSTGRES)
    .enable(true)
    .hide(false)
    .iconColor(color)
    .target(table(sql, "Anno"));
  return visible(query);
}
