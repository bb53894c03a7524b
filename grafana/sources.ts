import type { Builder, Dataquery } from "@grafana/grafana-foundation-sdk/cog";
import { DataqueryBuilder } from "@grafana/grafana-foundation-sdk/prometheus";

/** The files in provisioning/datasources contain the same uids. */
export const POSTGRES = { type: "grafana-postgresql-datasource", uid: "postgres-heartbeats" } as const;
export const PROMETHEUS = { type: "prometheus", uid: "prometheus-heartbeats" } as const;

/** A time series needs a column `time`; its text columns become labels. */
type SqlFormat = "time_series" | "table";

/** A query of Grafana's PostgreSQL data source. The SDK has no type for it. */
interface SqlQuery extends Dataquery {
  readonly refId: string;
  readonly datasource: typeof POSTGRES;
  readonly editorMode: "code";
  readonly format: SqlFormat;
  readonly rawQuery: true;
  readonly rawSql: string;
}

function sqlQuery(format: SqlFormat, sql: string, refId = "A"): Builder<SqlQuery> {
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

/** Removes the first and the last line break and the common indentation. */
export function unindent(text: string): string {
  const lines = text.replace(/^\n/, "").trimEnd().split("\n");
  const indents = lines.filter((line) => line.trim() !== "").map((line) => line.search(/\S/));
  const shared = Math.min(...indents);
  return lines.map((line) => line.slice(shared)).join("\n");
}
