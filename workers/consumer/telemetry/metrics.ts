import { Counter, Gauge, Histogram, type Registry } from "prom-client";

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const RECORDS = [1, 10, 100, 1000, 5000, 10_000, 50_000];

export type ConsumerMetrics = ReturnType<typeof consumerMetrics>;

export function consumerMetrics(registry: Registry) {
  const registers = [registry];
  const counter = (name: string, help: string, ...labelNames: string[]) =>
    new Counter({ name, help, labelNames, registers });
  const gauge = (name: string, help: string, ...labelNames: string[]) =>
    new Gauge({ name, help, labelNames, registers });
  const histogram = (name: string, help: string, buckets = SECONDS) =>
    new Histogram({ name, help, buckets, registers });
  new Gauge({
    name: "process_resident_memory_bytes",
    help: "Resident memory",
    registers,
    collect() {
      this.set(Deno.memoryUsage().rss);
    },
  });
  const metrics = {
    records: counter("heartbeat_records_total", "Records by outcome", "outcome"),
    rejects: counter("heartbeat_rejects_total", "Rejected records by reason", "reason"),
    anomalies: counter("heartbeat_anomalies_total", "Stored readings outside the alarm limits", "kind"),
    gaps: counter("heartbeat_gap_offsets_total", "Offsets without a committed record, by cause", "cause"),
    batchRecords: histogram("heartbeat_batch_records", "Records in a batch", RECORDS),
    batchSeconds: histogram(
      "heartbeat_batch_duration_seconds",
      "Time from taking a batch from the backlog to its commit, including the wait for a transaction and retries",
    ),
    endToEnd: histogram(
      "heartbeat_end_to_end_seconds",
      "From Kafka's timestamp of a batch's newest record to the commit of the batch",
    ),
    lagRecords: gauge("heartbeat_lag_records", "Committed records not stored yet", "partition"),
    lagSeconds: gauge(
      "heartbeat_lag_seconds",
      "Age of the last stored record while there is lag",
      "partition",
    ),
    assigned: gauge("heartbeat_assigned_partitions", "Partitions this consumer reads"),
    paused: gauge(
      "heartbeat_paused_partitions",
      "Partitions whose batch waits for a dependency or an operator",
    ),
    clockAhead: gauge(
      "heartbeat_clock_ahead_seconds",
      "How far this machine's clock is ahead of the database's; negative when it is behind",
    ),
    retries: counter("heartbeat_retries_total", "Failed attempts that are tried again", "dependency"),
    rollupLag: gauge(
      "heartbeat_rollup_lag_seconds",
      "Age of the oldest change row that waits for the rollup",
    ),
    rollupRounds: counter("heartbeat_rollup_rounds_total", "Rounds of the rollup that were committed"),
    rollupRebuilds: counter("heartbeat_rollup_rebuilds_total", "Rebuilds that the rollup has begun"),
  };
  // Each counter begins at 0, because Prometheus computes no rate from the first value of a counter.
  for (const outcome of ["stored", "duplicate", "rejected"]) metrics.records.inc({ outcome }, 0);
  for (const kind of ["low", "high"]) metrics.anomalies.inc({ kind }, 0);
  return metrics;
}
