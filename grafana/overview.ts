/** Heartbeat Monitoring Overview: who is in trouble, and is the pipeline well. Read it from the top left. */
import { CustomVariableBuilder, type DashboardBuilder } from "@grafana/grafana-foundation-sdk/dashboard";
import { attention, quiet, states } from "./overview_now.ts";
import { anomalies, delay, distributionNow, distributionOverTime, latest } from "./overview_trends.ts";
import { dashboard, row } from "./frame.ts";
import { rejectsByReason } from "./panels.ts";

export function overview(): DashboardBuilder {
  const builder = dashboard("overview", {
    title: "Heartbeat Monitoring Overview",
    description: "Who needs attention now, who is not heard of any more, and whether the pipeline is well.",
  });
  builder.withVariable(
    new CustomVariableBuilder("quiet_minutes")
      .label("Quiet after (minutes)")
      .description("A customer without a reading for this long has gone quiet.")
      .values("2,5,15,60")
      .options([2, 5, 15, 60].map((minutes) => ({
        text: String(minutes),
        value: String(minutes),
        selected: minutes === 5,
      })))
      .current({ text: "5", value: "5", selected: true })
      // It goes into SQL as it is, so nobody types one.
      .allowCustomValue(false),
  );
  for (const panel of states()) builder.withPanel(panel);
  builder.withPanel(attention()).withPanel(quiet());
  builder.withRow(row(20, "Heart rates"))
    .withPanel(distributionNow())
    .withPanel(distributionOverTime());
  builder.withRow(row(21, "Anomalies and rejects"))
    .withPanel(anomalies())
    .withPanel(rejectsByReason(12));
  builder.withRow(row(22, "Latest"));
  for (const panel of latest()) builder.withPanel(panel);
  return builder.withPanel(delay());
}
