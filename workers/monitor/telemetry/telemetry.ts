/** Has one function for each fact of the monitor. It writes the log line and updates the metrics. */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { PipelineError } from "../../_shared/errors.ts";
import type { Telemetry } from "../../_shared/telemetry.ts";

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export function monitorMetrics(registry: Registry) {
  const registers = [registry];
  const label = (name: string, help: string, labelNames: string[]) => ({ name, help, labelNames, registers });
  return {
    viewers: new Gauge(label("heartbeat_monitor_viewers", "Open event streams", ["feed"])),
    dropped: new Counter(
      label("heartbeat_monitor_dropped_total", "Event streams closed because the viewer took no data", [
        "feed",
      ]),
    ),
    queries: new Counter(
      label("heartbeat_monitor_queries_total", "Queries to the database by outcome", ["query", "outcome"]),
    ),
    seconds: new Histogram({
      ...label("heartbeat_monitor_query_seconds", "Time from a query to its answer", ["query"]),
      buckets: SECONDS,
    }),
  };
}

export type MonitorTelemetry = ReturnType<typeof monitorTelemetry>;

export function monitorTelemetry({ log, metrics: registry }: Pick<Telemetry, "log" | "metrics">) {
  const metrics = monitorMetrics(registry);
  /** Since when a query fails. By query: if the login lacks a right for one, the others must not end its outage. */
  const failingSince = new Map<string, number>();
  const addressChanged = (url: string) =>
    log.info("monitor.address", "Open this address in a browser", { url });
  return {
    healthListening: (port: number) =>
      log.info("health.listening", `Serving /livez, /readyz and /metrics on port ${port}`, { port }),
    /** The address may have a token that works once. It is for the person who reads this log. */
    listening: (address: string, port: number) => {
      const { origin } = new URL(address);
      log.info("monitor.listening", "Serving the page", { origin, port });
      addressChanged(address);
    },
    addressChanged,
    queryAnswered: (query: string, seconds: number) => {
      metrics.queries.inc({ query, outcome: "answered" });
      metrics.seconds.observe({ query }, seconds);
      const since = failingSince.get(query);
      if (since === undefined) return;
      failingSince.delete(query);
      const length = Math.round((performance.now() - since) / 100) / 10;
      const message = `The database answers again after ${length} s`;
      log.info("monitor.query_recovered", message, { query, seconds: length });
    },
    queryFailed: (query: string, failure: PipelineError) => {
      metrics.queries.inc({ query, outcome: "failed" });
      if (failingSince.has(query)) return;
      failingSince.set(query, performance.now());
      log.error("monitor.query_failed", failure.message, { query });
    },
    passwordRefused: (client: string) =>
      log.warning("monitor.login_refused", "Somebody gave a wrong password", { client }),
    pageFailed: (error: unknown) =>
      log.error("monitor.page_failed", "A page failed because of a bug", { error }),
    /** The viewer has gone, or takes no data, or a query failed: another line has the reason. */
    responseFailed: (error: unknown) => log.debug("monitor.answer_cut", "Closed a connection", { error }),
    viewerJoined: (feed: string) => metrics.viewers.inc({ feed }),
    viewerLeft: (feed: string, why: "left" | "stalled") => {
      metrics.viewers.dec({ feed });
      if (why === "left") return;
      metrics.dropped.inc({ feed });
      log.warning("monitor.viewer_dropped", "Closed an event stream, because its viewer took no data", {
        feed,
      });
    },
  };
}
