import {
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  type DynamicConfigValue,
  RowBuilder,
  TimePickerBuilder,
} from "@grafana/grafana-foundation-sdk/dashboard";
import type { Builder } from "@grafana/grafana-foundation-sdk/cog";
import type { DataSourceRef } from "@grafana/grafana-foundation-sdk/common";
import { POSTGRES } from "./sources.ts";

/** Links contain these uids, so they must never change. */
export const UID = {
  overview: "heartbeat-overview",
  customer: "heartbeat-customer",
  pipeline: "heartbeat-pipeline",
} as const;

const LINKS = {
  overview: { title: "Overview", icon: "dashboard", tooltip: "Customers that need attention" },
  customer: { title: "Customer", icon: "info", tooltip: "One customer's heart rate" },
  pipeline: { title: "Pipeline", icon: "bolt", tooltip: "Throughput, lag, rejects, reconciliation" },
} as const;

export type DashboardName = keyof typeof UID;

export interface DashboardFrame {
  readonly title: string;
  readonly description: string;
}

export function dashboard(name: DashboardName, { title, description }: DashboardFrame): DashboardBuilder {
  const builder = new DashboardBuilder(title)
    .uid(UID[name])
    .description(description)
    .tags(["heartbeat"])
    .readonly()
    .timezone("browser")
    .time({ from: "now-1h", to: "now" })
    .refresh("10s")
    .timepicker(new TimePickerBuilder().refreshIntervals(["5s", "10s", "30s", "1m", "5m", "15m"]))
    .tooltip(DashboardCursorSync.Crosshair)
    .variables([])
    .annotations([]);
  for (const [other, link] of Object.entries(LINKS)) {
    if (other === name) continue;
    builder.link(visible(
      new DashboardLinkBuilder(link.title)
        .type(DashboardLinkType.Link)
        .url(`/d/${UID[other as DashboardName]}`)
        .icon(link.icon)
        .tooltip(link.tooltip)
        .keepTime(true),
    ));
  }
  return builder;
}

/** Removes a default of the SDK. With it, Grafana would hide the link, variable or annotation in a menu. */
export function visible<T extends { placement?: unknown }>(builder: Builder<T>): Builder<T> {
  return {
    build: () => {
      const built = builder.build();
      delete built.placement;
      return built;
    },
  };
}

/** The SDK has no type for the setters that all its panel builders have. */
interface PanelSetters {
  id(id: number): this;
  title(title: string): this;
  description(description: string): this;
  noValue(text: string): this;
  datasource(source: DataSourceRef): this;
  span(columns: number): this;
  height(rows: number): this;
}

export interface PanelFrame {
  /** Unique in the dashboard and never reused, because links and alert rules contain it. */
  readonly id: number;
  readonly title: string;
  readonly description: string;
  /** Text of a panel without data. */
  readonly empty: string;
  /** In columns; a dashboard has 24. */
  readonly width: number;
  /** In rows of 30 pixels. */
  readonly height: number;
  readonly source?: DataSourceRef;
}

export function framed<P extends PanelSetters>(panel: P, frame: PanelFrame): P {
  return panel
    .id(frame.id)
    .title(frame.title)
    .description(frame.description)
    .noValue(frame.empty)
    .datasource(frame.source ?? POSTGRES)
    .span(frame.width)
    .height(frame.height);
}

export const row = (id: number, title: string) => new RowBuilder(title).id(id);

/** Override for a column of customers. A click on a customer opens the customer's dashboard in the same time range. */
export const customerLink: DynamicConfigValue = {
  id: "links",
  value: [{
    title: "Open this customer",
    // Encoded, because an id may contain any character, such as &.
    url: `/d/${UID.customer}?var-customer=\${__value.raw:percentencode}&\${__url_time_range}`,
    targetBlank: false,
  }],
};
