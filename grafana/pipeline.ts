import type { DashboardBuilder } from "@grafana/grafana-foundation-sdk/dashboard";
import { dashboard, row } from "./frame.ts";
import { rejectsByReason } from "./panels.ts";
import { prometheusPanels } from "./pipeline_metrics.ts";
import { consumers, health, ledger, partitions, throughput } from "./pipeline_panels.ts";

export function pipeline(): DashboardBuilder {
  const builder = dashboard("pipeline", {
    title: "Heartbeat Monitoring Pipeline",
    description: "Throughput, lag, freshness, rejects and the ledger.",
  });
  for (const panel of health()) builder.withPanel(panel);
  builder.withPanel(throughput()).withPanel(rejectsByReason(9)).withPanel(partitions());
  for (const panel of consumers()) builder.withPanel(panel);
  builder.withRow(row(20, "Reconciliation"));
  for (const panel of ledger()) builder.withPanel(panel);
  // The row is collapsed, so that Grafana sends no query to a Prometheus that does not run.
  const metrics = row(21, "Prometheus (needs the metrics profile: COMPOSE_PROFILES=metrics in .env)")
    .collapsed(true);
  for (const panel of prometheusPanels()) metrics.withPanel(panel);
  return builder.withRow(metrics);
}
