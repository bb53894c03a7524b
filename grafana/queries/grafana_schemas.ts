/**
 * The file formats of Grafana, as far as this project uses them. Grafana publishes no JSON Schema of them as a package,
 * so these follow its documentation (dashboard JSON model; administration, provisioning; alerting, file provisioning).
 * Provisioning files are strict, because Grafana ignores unknown members without a warning.
 */
import { z } from "zod";

const text = z.string().min(1);
const sourceRef = z.strictObject({ type: text, uid: text });

const sqlTarget = z.strictObject({
  refId: text,
  datasource: sourceRef,
  editorMode: z.literal("code"),
  format: z.enum(["time_series", "table"]),
  rawQuery: z.literal(true),
  rawSql: text,
});
const promTarget = z.looseObject({ refId: text, datasource: sourceRef, expr: text, legendFormat: text });
const target = z.union([sqlTarget, promTarget]);

const step = z.strictObject({
  value: z.number().nullable(),
  color: z.string().regex(/^(#[0-9A-F]{6}|transparent)$/),
});

const override = z.strictObject({
  matcher: z.strictObject({ id: z.enum(["byName", "byRegexp", "byFrameRefID"]), options: text }),
  properties: z.array(z.strictObject({ id: text, value: z.unknown() })).min(1),
});

const gridPos = z.strictObject({
  x: z.int().min(0).max(23),
  y: z.int().min(0),
  w: z.int().min(1).max(24),
  h: z.int().min(1),
});

const panel = z.looseObject({
  type: z.enum(["stat", "table", "timeseries", "barchart", "heatmap"]),
  id: z.int().positive(),
  title: text,
  description: text,
  gridPos,
  datasource: sourceRef,
  targets: z.array(target).min(1),
  interval: text.optional(),
  maxDataPoints: z.int().positive().optional(),
  timeFrom: text.optional(),
  options: z.record(z.string(), z.unknown()).optional(),
  fieldConfig: z.looseObject({
    defaults: z.looseObject({
      unit: text.optional(),
      noValue: text,
      thresholds: z.strictObject({ mode: z.literal("absolute"), steps: z.array(step).min(1) }).optional(),
      custom: z.record(z.string(), z.unknown()).optional(),
    }),
    overrides: z.array(override),
  }),
});

const row = z.looseObject({
  type: z.literal("row"),
  id: z.int().positive(),
  title: text,
  collapsed: z.boolean(),
  gridPos,
  panels: z.array(panel),
});

export const dashboardSchema = z.looseObject({
  uid: text,
  title: text,
  description: text,
  tags: z.array(text).min(1),
  timezone: z.literal("browser"),
  editable: z.literal(false),
  refresh: z.string().regex(/^\d+[sm]$/),
  schemaVersion: z.int().min(39),
  time: z.strictObject({ from: z.string().regex(/^now-\d+[smhd]$/), to: z.literal("now") }),
  panels: z.array(z.union([row, panel])),
  templating: z.strictObject({
    list: z.array(z.looseObject({
      name: text,
      label: text,
      type: z.enum(["query", "custom"]),
      query: z.union([text, sqlTarget.omit({ datasource: true })]),
      datasource: sourceRef.optional(),
      current: z.looseObject({ value: z.string() }).optional(),
      multi: z.boolean().optional(),
      allowCustomValue: z.boolean(),
    })).optional(),
  }),
  annotations: z.strictObject({
    list: z.array(z.looseObject({
      name: text,
      datasource: sourceRef,
      enable: z.boolean(),
      iconColor: step.shape.color,
      target: sqlTarget,
    })).optional(),
  }),
  links: z.array(z.looseObject({ title: text, type: z.literal("link"), url: text, keepTime: z.boolean() })),
});

export type Dashboard = z.infer<typeof dashboardSchema>;
export type Panel = z.infer<typeof panel>;

export const dataSourcesSchema = z.strictObject({
  apiVersion: z.literal(1),
  datasources: z.array(z.strictObject({
    name: text,
    uid: text,
    type: z.enum(["postgres", "prometheus"]),
    access: z.literal("proxy"),
    isDefault: z.boolean().optional(),
    editable: z.literal(false),
    url: text,
    user: text.optional(),
    jsonData: z.union([
      z.strictObject({
        database: text,
        sslmode: z.enum(["disable", "require", "verify-ca", "verify-full"]),
        postgresVersion: z.int().min(1000),
        timescaledb: z.literal(false),
        maxOpenConns: z.int().positive(),
        maxIdleConnsAuto: z.boolean(),
        connMaxLifetime: z.int().positive(),
      }),
      z.strictObject({ httpMethod: z.enum(["GET", "POST"]), timeInterval: text }),
    ]),
    // A literal password must not be in the file.
    secureJsonData: z.strictObject({ password: z.string().regex(/^\$__env\{\w+\}$/) }).optional(),
  })),
});

export const providersSchema = z.strictObject({
  apiVersion: z.literal(1),
  providers: z.array(z.strictObject({
    name: text,
    orgId: z.literal(1),
    type: z.literal("file"),
    folder: text,
    allowUiUpdates: z.boolean(),
    disableDeletion: z.boolean(),
    updateIntervalSeconds: z.int().positive(),
    options: z.strictObject({ path: text, foldersFromFilesStructure: z.boolean() }),
  })),
});

const relativeTimeRange = z.strictObject({ from: z.int().min(0), to: z.int().min(0) });
const expressionSource = z.strictObject({ type: z.literal("__expr__"), uid: z.literal("__expr__") });

export const alertingSchema = z.strictObject({
  apiVersion: z.literal(1),
  groups: z.array(z.strictObject({
    orgId: z.literal(1),
    name: text,
    folder: text,
    interval: z.string().regex(/^\d+[sm]$/),
    rules: z.array(z.strictObject({
      uid: z.string().regex(/^[a-zA-Z0-9_-]{1,40}$/),
      title: z.string().min(1).max(190),
      condition: text,
      // A query, its last value, and the comparison.
      data: z.tuple([
        z.strictObject({
          refId: z.literal("A"),
          relativeTimeRange,
          datasourceUid: text,
          model: sqlTarget.extend({
            format: z.literal("time_series"),
            intervalMs: z.int().positive(),
            maxDataPoints: z.int().positive(),
          }),
        }),
        z.strictObject({
          refId: z.literal("B"),
          relativeTimeRange,
          datasourceUid: z.literal("__expr__"),
          model: z.strictObject({
            refId: z.literal("B"),
            datasource: expressionSource,
            type: z.literal("reduce"),
            expression: z.literal("A"),
            reducer: z.literal("last"),
            settings: z.strictObject({ mode: z.literal("dropNN") }),
          }),
        }),
        z.strictObject({
          refId: z.literal("C"),
          relativeTimeRange,
          datasourceUid: z.literal("__expr__"),
          model: z.strictObject({
            refId: z.literal("C"),
            datasource: expressionSource,
            type: z.literal("threshold"),
            expression: z.literal("B"),
            conditions: z.tuple([z.strictObject({
              evaluator: z.strictObject({ type: z.literal("gt"), params: z.tuple([z.number()]) }),
            })]),
          }),
        }),
      ]),
      dashboardUid: text,
      panelId: z.int().positive(),
      noDataState: z.enum(["NoData", "Alerting", "OK", "KeepLast"]),
      execErrState: z.enum(["Error", "Alerting", "OK", "KeepLast"]),
      for: z.string().regex(/^\d+[sm]$/),
      annotations: z.strictObject({ summary: text, description: text, no_data: text, on_error: text }),
      labels: z.strictObject({ severity: z.enum(["critical", "warning"]), service: text }),
      isPaused: z.literal(false),
    })),
  })),
});
