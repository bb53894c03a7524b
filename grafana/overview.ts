import { CustomVariableBuilder, type DashboardBuilder } from "@grafana/grafana-foundation-sdk/dashboard";
import { attention, quiet, states } from "./overview_now.ts";
import { anomalies, delay, distributionNow, distributionOverTime, latest } from "./overview_trends.ts";
import { dashboard, row } from "./frame.ts";
import { rejectsByReason } from "./panels.ts";

export function overview(): DashboardBuilder {
  const builder = dashboard("overview", {
    title: "Heartbeat Monitoring Overview",
    description:
      "Customers that need attention now, customers that went quiet, and the state of the pipeline.",
  });
  builder.withVariable(
    new CustomVariableBuilder("quiet_minutes")
      .label("Quiet after (minutes)")
      .description("A customer without a reading for this long counts as quiet.")
      .values("2,5,15,60")
      .options([2, 5, 15, 60].map((minutes) => ({
        text: String(minutes),
        value: String(minutes),
        selected: minutes === 5,
      })))
      .current({ text: "5", value: "5", selected: true })
      // The value becomes a part of the SQL, so free text must be impossible.
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
