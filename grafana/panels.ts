import {
  BigValueColorMode,
  BigValueGraphMode,
  GraphDrawStyle,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from "@grafana/grafana-foundation-sdk/common";
import { PanelBuilder as StatBuilder } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as TimeSeriesBuilder } from "@grafana/grafana-foundation-sdk/timeseries";
import { REJECT_REASONS } from "../workers/_shared/record/heartbeat.ts";
import { framed, type PanelFrame } from "./frame.ts";
import { COLOUR, colour, cycle, fixed, type steps } from "./look.ts";
import { series, table } from "./sources.ts";

export interface Stat extends Omit<PanelFrame, "width" | "height"> {
  readonly sql: string;
  readonly steps: ReturnType<typeof steps>;
}

export function stat({ sql, steps, ...frame }: Stat) {
  return framed(new StatBuilder(), { ...frame, width: 3, height: 4 })
    .withTarget(table(sql))
    .thresholds(steps)
    .reduceOptions(new ReduceDataOptionsBuilder().values(false).calcs(["lastNotNull"]))
    .colorMode(BigValueColorMode.Background)
    .graphMode(BigValueGraphMode.None);
}

/** Added to the description of each panel whose data the rollup writes. */
export const FOLLOWS = " It follows the rollup: see the panel Rollup lag.";

export function overTime(frame: PanelFrame, color: string) {
  return framed(new TimeSeriesBuilder(), frame)
    .colorScheme(fixed(color))
    .spanNulls(false)
    .legend(
      new VizLegendOptionsBuilder().showLegend(true).displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi));
}

export function countsOverTime(frame: PanelFrame, color: string, sql: string) {
  return overTime(frame, color)
    .interval("1m")
    .maxDataPoints(120)
    .withTarget(series(sql))
    .drawStyle(GraphDrawStyle.Bars)
    .stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group("A"))
    .fillOpacity(80)
    .lineWidth(0)
    .showPoints(VisibilityMode.Never)
    .min(0);
}

export function rejectsByReason(id: number) {
  const panel = countsOverTime(
    {
      id,
      title: "Rejects by reason",
      description: "Records that were not stored, by the time of the reject. Their exact bytes are in " +
        "public.heartbeat_rejects.",
      empty: "No record was rejected in this time range",
      width: 12,
      height: 8,
    },
    COLOUR.reject,
    `
    select $__timeGroupAlias(rejected_at,'$__interval',0),
           reason as metric,
           count(*) as rejects
      from public.heartbeat_rejects
     where $__timeFilter(rejected_at)
     group by 1, 2
     order by 1, 2`,
  ).decimals(0);
  // The colour depends on the fixed list of reasons, so a reason keeps its colour in any selection.
  REJECT_REASONS.forEach((reason, place) => panel.overrideByName(reason, [colour(cycle(place))]));
  return panel;
}
