/** The alert rules, as Grafana's provisioning reads them. Each is a time series of one point that is reduced and compared. */
import { type DashboardName, UID } from "./frame.ts";
import { CURRENT_LOGS, LAG_SECONDS, MINUTES_AGAINST_ROWS, ROLLUP_LAG, UNACCOUNTED } from "./ledger_sql.ts";
import { POSTGRES, unindent } from "./sources.ts";

export const FOLDER = "Heartbeat Monitoring";

interface AlertRule {
  readonly uid: string;
  readonly title: string;
  readonly severity: "critical" | "warning";
  /** Gives the columns `time` and one number. */
  readonly sql: string;
  /** Fires when the number is greater, */
  readonly above: number;
  /** for as long as this. */
  readonly lasting: string;
  /** What the macros for time see: the seconds until now, 600 unless given. */
  readonly lookBackSeconds?: number;
  readonly panel: { readonly dashboard: DashboardName; readonly id: number };
  readonly summary: string;
  readonly description: string;
  readonly noData: { readonly state: "OK" | "Alerting"; readonly because: string };
  readonly error?: { readonly state: "Alerting" | "KeepLast"; readonly because: string };
}

/** One rule speaks for a database that cannot be read; more that say the same would be noise. */
const SILENT_ON_ERROR = {
  state: "KeepLast",
  because: "A database that cannot be read is told by the rule Ingestion stalled; this one keeps its state.",
} as const;

/** @param what completes "The query always gives a row" */
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
      "Nothing is published, or no consumer is alive, or none can write. Look at the panel Consumers, which says why " +
      "one is not ready, then at the producer.",
    noData: { state: "Alerting", because: "Nothing was ever ingested: the pipeline has not come up." },
    error: {
      state: "Alerting",
      because: "The database cannot be read, and most likely not be written either.",
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
      "Each consumer writes every 5 s that it runs, and none did. Kafka keeps the records for as long as its retention " +
      "says. Start a consumer; the last lines of the old one's log say why it ended.",
    noData: {
      state: "Alerting",
      because: "No consumer has run yet, or the last one was stopped in good order.",
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
      "Records come faster than they are stored, a partition is held, or its consumer does not run: then from the last " +
      "time that somebody asked Kafka. In time and not in records, because only a backlog that is not worked off gets " +
      "older. Look at the panel Consumers and at the batch times, start another consumer.",
    noData: {
      state: "OK",
      because: "No partition was read in 24 hours; the rule Ingestion stalled tells that.",
    },
  },
  {
    uid: "heartbeat-reject-spike",
    title: "Reject spike",
    severity: "warning",
    sql: `
      select now() as time,
             (case when recent >= 20 then recent / greatest(usual, 1) else 0 end)::float8 as times
        from (
          select count(*) filter (where rejected_at > now() - interval '5 minutes') as recent,
                 count(*) filter (where rejected_at <= now() - interval '5 minutes') / 11.0 as usual
            from public.heartbeat_rejects
           where rejected_at > now() - interval '1 hour'
        ) rejects`,
    above: 3,
    lasting: "0s",
    lookBackSeconds: 3600,
    panel: { dashboard: "pipeline", id: 9 },
    summary: `{{ printf "%.1f" (index .Values "B").Value }} times as many rejects as usual`,
    description:
      "In the last five minutes at least 20 records were rejected, more than three times as many as in " +
      "the five minutes before on average over an hour. Look at reason and detail in public.heartbeat_rejects.",
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
      "Of at least five customers with a reading in the last hour, more than a fifth had none in the last " +
      "five minutes: rather a gateway, a producer or the pipeline than so many sensors. Not judged while the rollup is " +
      "more than a minute behind or rebuilds the last hour, since public.customer_latest is old then.",
    noData: alwaysARow(", also without customers"),
  },
  {
    uid: "heartbeat-rollup-stalled",
    title: "Rollup stands still",
    severity: "warning",
    sql: `
      select now() as time,
             greatest((${ROLLUP_LAG}),
                      case when cursor is not null then extract(epoch from now() - committed_at) end)::float8 as seconds
        from public.rollup`,
    above: 120,
    lasting: "3m",
    panel: { dashboard: "pipeline", id: 17 },
    summary: `Minutes and latest readings are {{ humanizeDuration (index .Values "B").Value }} behind`,
    description:
      "Readings are stored, but public.heartbeats_1m and public.customer_latest do not follow them, or a rebuild does " +
      "not get on: what is shown of minutes and of customers is old. Nothing is lost, the rollup catches up. Does a " +
      "consumer run, and what does the panel Consumers say of it? Does a session hold a lock on public.rollup (pg_locks)? " +
      "If the last round is recent, rounds are too slow for what comes: give PostgreSQL more.",
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
      "The ledger does not add up, or the minute table with what waits for the rollup does not equal the rows of the " +
      "last minutes. Somebody changed the tables by hand, or there is a defect: `deno task reconcile` says where.",
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
    summary: `{{ printf "%.0f" (index .Values "B").Value }} partitions are older than RETENTION_DAYS`,
    description:
      "Nothing was dropped for an hour, although a consumer with RETENTION_DAYS wants it dropped. The consumer's " +
      "log says why (table.retention_failed), and so does its /readyz: a lock that a dump of the database holds, a " +
      "missing right, a statement that takes too long.",
    noData: alwaysARow(", also where nothing is dropped"),
  },
];

/** The content of a file in provisioning/alerting. Grafana reads $NAME there as a variable of the environment. */
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
          // Grafana hands a query's model on as it is: no variable of the environment is looked for in it.
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
