/** Panels that need Prometheus. The consumer's metrics.ts and the producer's telemetry.ts define the metrics. */
import { COLOUR, colour, cycle, shadesOf } from "./look.ts";
import { overTime } from "./panels.ts";
import { PROMETHEUS, promQuery } from "./sources.ts";

const RATE = "[$__rate_interval]";

interface MetricPanel {
  readonly title: string;
  readonly description: string;
  readonly unit: string;
  readonly queries: readonly (readonly [legend: string, expr: string])[];
}

const quantiles = (metric: string): MetricPanel["queries"] =>
  [0.5, 0.95, 0.99].map((q) => [
    `p${q * 100}`,
    `histogram_quantile(${q}, sum by (le) (rate(${metric}_bucket${RATE})))`,
  ]);

const PANELS: readonly MetricPanel[] = [
  {
    title: "Records by outcome",
    description: "Records per second of all consumers, by what became of them.",
    unit: "suffix:records/s",
    queries: [["{{outcome}}", `sum by (outcome) (rate(heartbeat_records_total${RATE}))`]],
  },
  {
    title: "Batch time",
    description:
      "Time from taking a batch from the backlog to its commit, including the wait for a transaction and retries.",
    unit: "s",
    queries: quantiles("heartbeat_batch_duration_seconds"),
  },
  {
    title: "End to end",
    description: "Time from Kafka's timestamp of the newest record of a batch until the commit.",
    unit: "s",
    queries: quantiles("heartbeat_end_to_end_seconds"),
  },
  {
    title: "Batch size",
    description: "Number of records in a batch.",
    unit: "short",
    queries: quantiles("heartbeat_batch_records"),
  },
  {
    title: "Lag in records",
    description: "Each consumer reports it, even while it cannot write.",
    unit: "short",
    queries: [["partition {{partition}}", "max by (partition) (heartbeat_lag_records)"]],
  },
  {
    title: "Lag in time",
    description: "Age of the last stored record while there is lag.",
    unit: "s",
    queries: [["partition {{partition}}", "max by (partition) (heartbeat_lag_seconds)"]],
  },
  {
    title: "Waiting and retrying",
    description: "Partitions that wait for a server or an operator, and failed attempts per second.",
    unit: "short",
    queries: [
      ["paused partitions", "sum(heartbeat_paused_partitions)"],
      ["retries/s, {{dependency}}", `sum by (dependency) (rate(heartbeat_retries_total${RATE}))`],
    ],
  },
  {
    title: "Producer",
    description: "Records per second that Kafka acknowledged, and records that wait for an acknowledgement.",
    unit: "short",
    queries: [
      ["published/s", `sum(rate(heartbeat_published_total${RATE}))`],
      ["failed requests/s", `sum(rate(heartbeat_publish_failures_total${RATE}))`],
      ["waiting", "sum(heartbeat_publish_backlog_records)"],
    ],
  },
  {
    title: "Rollup lag",
    description: "Age of the oldest change row that waits for the rollup. Each consumer reports it.",
    unit: "s",
    queries: [["lag", "max(heartbeat_rollup_lag_seconds)"]],
  },
  {
    title: "Rollup rounds and rebuilds",
    description:
      "Rounds committed per second, and rebuilds that began in the interval. In normal operation there is no rebuild.",
    unit: "short",
    queries: [
      ["rounds/s", `sum(rate(heartbeat_rollup_rounds_total${RATE}))`],
      ["rebuilds", `sum(increase(heartbeat_rollup_rebuilds_total${RATE}))`],
    ],
  },
];

export function prometheusPanels() {
  return PANELS.map(({ title, description, unit, queries }, index) => {
    const panel = overTime({
      id: 30 + index,
      title,
      description,
      empty: "No metrics: is the metrics profile on?",
      width: 12,
      height: 8,
      source: PROMETHEUS,
    }, COLOUR.neutral).unit(unit).min(0);
    queries.forEach(([legend, expr], place) => {
      const refId = String.fromCharCode("A".charCodeAt(0) + place);
      panel.withTarget(promQuery(expr, legend, refId));
      // The series of one query get shades of one colour.
      const many = legend.includes("{{");
      panel.overrideByQuery(refId, [
        many ? { id: "color", value: shadesOf(cycle(place)).build() } : colour(cycle(place)),
      ]);
    });
    return panel;
  });
}
