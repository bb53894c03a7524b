/** The two data sources, and queries on them. Their uids are also in provisioning/datasources. */
import type { Builder, Dataquery } from "@grafana/grafana-foundation-sdk/cog";
import { DataqueryBuilder } from "@grafana/grafana-foundation-sdk/prometheus";

export const POSTGRES = { type: "grafana-postgresql-datasource", uid: "postgres-heartbeats" } as const;
export const PROMETHEUS = { type: "prometheus", uid: "prometheus-heartbeats" } as const;

/** How Grafana reads the rows: one of the columns is `time` in a time series, and texts are labels. */
export type SqlFormat = "time_series" | "table";

/** A query of Grafana's PostgreSQL data source; the SDK has no type for it. */
export interface SqlQuery extends Dataquery {
  readonly refId: string;
  readonly datasource: typeof POSTGRES;
  readonly editorMode: "code";
  readonly format: SqlFormat;
  readonly rawQuery: true;
  readonly rawSql: string;
}

/** @param sql indented as the code around it; the common indentation goes */
export function sqlQuery(format: SqlFormat, sql: string, refId = "A"): Builder<SqlQuery> {
  const query: SqlQuery = {
    refId,
    datasource: POSTGRES,
    editorMode: "code",
    format,
    rawQuery: true,
    rawSql: unindent(sql),
    _implementsDataqueryVariant: () => {},
  };
  return { build: () => query };
}

export const table = (sql: string, refId?: string) => sqlQuery("table", sql, refId);
export const series = (sql: string, refId?: string) => sqlQuery("time_series", sql, refId);

export function promQuery(expr: string, legend: string, refId = "A") {
  return new DataqueryBuilder().datasource(PROMETHEUS).expr(expr).legendFormat(legend).range().refId(refId);
}

/** Takes the first and the last line break and the indentation that all lines share. */
export function unindent(text: string): string {
  const lines = text.replace(/^\n/, "").trimEnd().split("\n");
  const indents = lines.filter((line) => line.trim() !== "").map((line) => line.search(/\S/));
  const shared = Math.min(...indents);
  return lines.map((line) => line.slice(shared)).join("\n");
}
