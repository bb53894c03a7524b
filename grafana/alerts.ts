import { type DashboardName, UID } from "./frame.ts";
import { CURRENT_LOGS, LAG_SECONDS, MINUTES_AGAINST_ROWS, ROLLUP_LAG, UNACCOUNTED } from "./ledger_sql.ts";
import { POSTGRES, unindent } from "./sources.ts";

export const FOLDER = "Heartbeat Monitoring";

interface AlertRule {
  readonly uid: string;
  readonly title: string;
  readonly severity: "critical" | "warning";
  /** Returns at most one row: `time` and one number. */
  readonly sql: string;
  /** The rule fires if the number exceeds this for the duration `lasting`. */
  readonly above: number;
  readonly lasting: string;
  /** Length of the time range that the macros use. The range ends now. Default: 600. */
  readonly lookBackSeconds?: number;
  readonly panel: { readonly dashboard: DashboardName; readonly id: number };
  readonly summary: string;
  readonly description: string;
  readonly noData: { readonly state: "OK" | "Alerting"; readonly because: string };
  readonly error?: { readonly state: "Alerting" | "KeepLast"; readonly because: string };
}

/** If the database cannot be read, one rule reports it. The other rules would only repeat it. */
const SILENT_ON_ERROR = {
  state: "KeepLast",
  because: "If the database cannot be read, the rule Ingestion stalled fires. This rule keeps its state.",
} as const;

const alwaysARow = (what: string) => ({
  state: "Alerting",
  because: `The query always gives a row${what}, so no data means that the rule is broken.`,
} as const);

export const RULES: readonly AlertRule[] = [
  {
    uid: "heartbeat-ingestion-stalled",
    title: "Ingestion stalled",
    severity: "critical",
    sql: `
      select now() as time, extract(epoch from now() - max(last_batch_at))::float8 as seconds
        from public.ingest_offsets
      having max(last_batch_at) is not null`,
    above: 300,
    lasting: "1m",
    panel: { dashboard: "pipeline", id: 1 },
    summary: `No batch was written for {{ humanizeDuration (index .Values "B").Value }}`,
    description:
      "Nothing is published, no consumer runs, or no consumer can write. The panel Consumers says why a consumer is " +
      "not ready. If a consumer is ready, look at the producer.",
    noData: { state: "Alerting", because: "No batch was ever written, so the pipeline has not started." },
    error: {
      state: "Alerting",
      because: "The database cannot be read, so most likely nothing can be written to it either.",
    },
  },
  {
    uid: "heartbeat-no-consumer",
    title: "No consumer runs",
    severity: "critical",
    sql: `
      select now() as time, extract(epoch from now() - max(seen_at))::float8 as seconds
        from public.consumer_status
      having max(seen_at) is not null`,
    above: 15,
    lasting: "1m",
    panel: { dashboard: "pipeline", id: 16 },
    summary: `No consumer was seen for {{ humanizeDuration (index .Values "B").Value }}`,
    description:
      "Each consumer writes its status every 5 s, and no consumer did. Kafka keeps the records until the topic's " +
      "retention deletes them. Start a consumer. The last lines of the old consumer's log say why it ended.",
    noData: {
      state: "Alerting",
      because: "No consumer has run yet, or the last one was stopped in an orderly way.",
    },
  },
  {
    uid: "heartbeat-lag-growing",
    title: "Lag growing",
    severity: "warning",
    sql: `
      select now() as time, max(${LAG_SECONDS})::float8 as seconds
        from (${CURRENT_LOGS}) log
      having count(*) > 0`,
    above: 60,
    lasting: "5m",
    panel: { dashboard: "pipeline", id: 4 },
    summary: `The slowest partition is {{ humanizeDuration (index .Values "B").Value }} behind`,
    description:
      "Records come faster than they are stored, a partition is held, or its consumer does not run. Without a running " +
      "consumer, the lag counts from the last time that a consumer asked Kafka for the end of the log. Look at the " +
      "panel Consumers and at the batch times, and start another consumer.",
    noData: {
      state: "OK",
      because: "No partition was read in the last 24 hours. The rule Ingestion stalled reports that.",
    },
  },
  {
    uid: "heartbeat-reject-spike",
    title: "Reject spike",
    severity: "warning",
    sql: `
      select now() as time,
             (case when recent >= 20 then recent / greatest(average, 1) else 0 end)::float8 as times
        from (
          select count(*) filter (where rejected_at > now() - interval '5 minutes') as recent,
                 count(*) filter (where rejected_at <= now() - interval '5 minutes') / 11.0 as average
            from public.heartbeat_rejects
           where rejected_at > now() - interval '1 hour'
        ) rejects`,
    above: 3,
    lasting: "0s",
    lookBackSeconds: 3600,
    panel: { dashboard: "pipeline", id: 9 },
    summary: `{{ printf "%.1f" (index .Values "B").Value }} times as many rejects as usual`,
    description:
      "In the last five minutes at least 20 records were rejected, more than three times the five-minute average of " +
      "the rest of the last hour. Look at reason and detail in public.heartbeat_rejects.",
    noData: alwaysARow(""),
  },
  {
    uid: "heartbeat-customers-quiet",
    title: "Many customers quiet at once",
    severity: "critical",
    sql: `
      select now() as time,
             (case when count(*) >= 5
                    and (${ROLLUP_LAG}) <= 60
                    and (select coalesce(cursor, '-infinity') from public.rollup) <= now() - interval '1 hour'
                   then 100.0 * count(*) filter (where ts <= now() - interval '5 minutes') / count(*)
                   else 0 end)::float8 as percent
        from public.customer_latest
       where ts > now() - interval '1 hour'`,
    above: 20,
    lasting: "2m",
    lookBackSeconds: 3600,
    panel: { dashboard: "overview", id: 8 },
    summary: `{{ printf "%.0f" (index .Values "B").Value }} % of the customers went quiet`,
    description:
      "At least five customers sent a reading in the last hour, and more than a fifth of them sent none in the last " +
      "five minutes. So many sensors rarely fail at once: look at the gateway, the producer and the pipeline. The rule " +
      "does not judge while the rollup is more than a minute behind or rebuilds the last hour, because " +
      "public.customer_latest is old then.",
    noData: alwaysARow(", also without customers"),
  },
  {
    uid: "heartbeat-rollup-stalled",
    title: "Rollup stalled",
    severity: "warning",
    sql: `
      select now() as time,
             greatest((${ROLLUP_LAG}),
                      case when cursor is not null then extract(epoch from now() - committed_at) end)::float8 as seconds
        from public.rollup`,
    above: 120,
    lasting: "3m",
    panel: { dashboard: "pipeline", id: 17 },
    summary:
      `Minute aggregates and latest readings are {{ humanizeDuration (index .Values "B").Value }} behind`,
    description:
      "Readings are stored, but the rollup does not bring public.heartbeats_1m and public.customer_latest up to date, " +
      "or a rebuild makes no progress. Panels about minute aggregates and customers show old values. Nothing is lost: " +
      "the rollup catches up by itself. Check that a consumer runs, and read its reasons in the panel Consumers. Look " +
      "for a session that holds a lock on public.rollup (pg_locks). If the last round is recent, the rollup is too slow " +
      "for the load: give PostgreSQL more processors and faster disks.",
    noData: alwaysARow(", also when nothing waits"),
  },
  {
    uid: "heartbeat-unaccounted",
    title: "Unaccounted records",
    severity: "critical",
    sql: `
      select now() as time, ((${UNACCOUNTED}) + coalesce((${MINUTES_AGAINST_ROWS}), 0))::float8 as records`,
    above: 0,
    lasting: "0s",
    lookBackSeconds: 180,
    panel: { dashboard: "pipeline", id: 5 },
    summary: `{{ printf "%.0f" (index .Values "B").Value }} records are unaccounted for`,
    description:
      "The ledger does not add up, or the minute aggregates and the changes that wait for the rollup do not equal the " +
      "rows of the last minutes. Somebody changed the tables by hand, or the pipeline has a defect. Run " +
      "`deno task reconcile`: it says where.",
    noData: alwaysARow(", also on an empty ledger"),
  },
  {
    uid: "heartbeat-retention-stalled",
    title: "Retention stalled",
    severity: "warning",
    sql: `
      select now() as time,
             (case when exists (select from public.heartbeat_retention where dropped_at > now() - interval '10 minutes')
                   then 0
                   else (select count(*) from public.heartbeat_retention where dropped_rows is null)
                      + (select count(*)
                           from public.heartbeat_retention_bound bound
                           join public.heartbeat_partitions('public.heartbeats') old on old.upper_bound <= bound.before)
               end)::float8 as partitions`,
    above: 0,
    lasting: "60m",
    panel: { dashboard: "pipeline", id: 13 },
    summary: `{{ printf "%.0f" (index .Values "B").Value }} day partitions are older than RETENTION_DAYS`,
    description:
      "No day partition was dropped for an hour, although some are older than a consumer's RETENTION_DAYS. The " +
      "consumer's log (table.retention_failed) and its /readyz say why. For example, a dump of the database holds a " +
      "lock, a right is missing, or a statement takes too long.",
    noData: alwaysARow(", also if retention drops nothing"),
  },
];

/** The content of a file in provisioning/alerting. Grafana expands $NAME in it as an environment variable. */
export function alertingFile() {
  return {
    apiVersion: 1,
    groups: [{
      orgId: 1,
      name: "heartbeat-pipeline",
      folder: FOLDER,
      interval: "1m",
      rules: RULES.map(provisioned),
    }],
  };
}

function provisioned(rule: AlertRule) {
  const error = rule.error ?? SILENT_ON_ERROR;
  return {
    uid: rule.uid,
    title: rule.title,
    condition: "C",
    data: [
      {
        refId: "A",
        relativeTimeRange: { from: rule.lookBackSeconds ?? 600, to: 0 },
        datasourceUid: POSTGRES.uid,
        model: {
          refId: "A",
          datasource: POSTGRES,
          editorMode: "code",
          format: "time_series",
          rawQuery: true,
          // No $$ is needed: Grafana does not expand environment variables in a query.
          rawSql: unindent(rule.sql),
          intervalMs: 1000,
          maxDataPoints: 43200,
        },
      },
      expression("B", { type: "reduce", expression: "A", reducer: "last", settings: { mode: "dropNN" } }),
      expression("C", {
        type: "threshold",
        expression: "B",
        conditions: [{ evaluator: { type: "gt", params: [rule.above] } }],
      }),
    ],
    dashboardUid: UID[rule.panel.dashboard],
    panelId: rule.panel.id,
    noDataState: rule.noData.state,
    execErrState: error.state,
    for: rule.lasting,
    annotations: {
      summary: rule.summary,
      description: rule.description,
      no_data: `${rule.noData.state}: ${rule.noData.because}`,
      on_error: `${error.state}: ${error.because}`,
    },
    labels: { severity: rule.severity, service: "heartbeat" },
    isPaused: false,
  };
}

function expression(refId: string, model: Record<string, unknown>) {
  return {
    refId,
    relativeTimeRange: { from: 0, to: 0 },
    datasourceUid: "__expr__",
    model: { refId, datasource: { type: "__expr__", uid: "__expr__" }, ...model },
  };
}
