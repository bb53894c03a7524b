import { parse } from "yaml";
import { intervalOf, type MacroContext } from "./grafana_macros.ts";
import { alertingSchema, type Dashboard, dashboardSchema, type Panel } from "./grafana_schemas.ts";

const GRAFANA = new URL("../", import.meta.url);

/** @throws ZodError if a file does not match the format of Grafana */
export async function dashboards(): Promise<{ file: string; model: Dashboard }[]> {
  const files: string[] = [];
  for await (const entry of Deno.readDir(new URL("dashboards/", GRAFANA))) files.push(entry.name);
  return await Promise.all(
    files.sort().map(async (file) => ({
      file,
      model: dashboardSchema.parse(
        JSON.parse(await Deno.readTextFile(new URL(`dashboards/${file}`, GRAFANA))),
      ),
    })),
  );
}

/** @param path for example alerting/heartbeat_rules.yaml */
export async function provisioning(path: string): Promise<unknown> {
  return parse(await Deno.readTextFile(new URL(`provisioning/${path}`, GRAFANA)));
}

export async function alertRules() {
  const { groups } = alertingSchema.parse(await provisioning("alerting/heartbeat_rules.yaml"));
  return groups.flatMap(({ rules }) => rules);
}

/** All panels, including those inside a collapsed row, but without the rows themselves. */
export function panels(model: Dashboard): Panel[] {
  return model.panels.flatMap((panel) => panel.type === "row" ? panel.panels as Panel[] : [panel as Panel]);
}

export type QueryKind = "panel" | "variable" | "annotation" | "alert";

export interface BuiltQuery {
  readonly name: string;
  readonly kind: QueryKind;
  /** For a panel its type (stat, table, timeseries ...), for other queries `kind`. */
  readonly type: string;
  readonly format: "time_series" | "table";
  readonly sql: string;
  /**
   * @param to the end of the time range
   * @param rangeMs the chosen range. Default: the range of the dashboard. Alert rules, and panels that set a range
   * themselves, ignore it.
   */
  readonly context: (to: Date, rangeMs?: number) => MacroContext;
}

export async function builtQueries(): Promise<BuiltQuery[]> {
  const ofDashboards = (await dashboards()).flatMap(({ file, model }) => queriesOf(file, model));
  const ofRules = (await alertRules()).map((rule): BuiltQuery => {
    const [{ model, relativeTimeRange }] = rule.data;
    return {
      name: `alert rule: ${rule.title}`,
      kind: "alert",
      type: "alert",
      format: model.format,
      sql: model.rawSql,
      context: (to) => ({
        to,
        from: new Date(to.getTime() - relativeTimeRange.from * 1000),
        intervalMs: model.intervalMs,
      }),
    };
  });
  return [...ofDashboards, ...ofRules];
}

function queriesOf(file: string, model: Dashboard): BuiltQuery[] {
  const list = model.templating.list ?? [];
  const variables = Object.fromEntries(list.map(({ name, current }) => [name, current?.value ?? ""]));
  const defaultMs = milliseconds(model.time.from.replace("now-", ""));
  const query = (kind: QueryKind, name: string, target: object, panel?: Panel): BuiltQuery[] => {
    if (!("rawSql" in target && "format" in target) || typeof target.rawSql !== "string") return [];
    const own = panel?.timeFrom === undefined ? undefined : milliseconds(panel.timeFrom);
    return [{
      name: `${file}: ${name}`,
      kind,
      type: panel?.type ?? kind,
      format: target.format === "time_series" ? "time_series" : "table",
      sql: target.rawSql,
      context: (to, chosenMs = defaultMs) => {
        const rangeMs = own ?? chosenMs;
        const intervalMs = intervalOf(
          rangeMs,
          // If maxDataPoints is not set, Grafana uses the panel's width in pixels.
          panel?.maxDataPoints ?? 1_000,
          milliseconds(panel?.interval ?? "1s"),
        );
        return { to, from: new Date(to.getTime() - rangeMs), intervalMs, variables };
      },
    }];
  };
  return [
    ...panels(model).flatMap((panel) =>
      panel.targets.flatMap((target) => query("panel", `${panel.title} (${target.refId})`, target, panel))
    ),
    ...list.flatMap(({ name, query: target }) =>
      typeof target === "string" ? [] : query("variable", `variable ${name}`, target)
    ),
    ...(model.annotations.list ?? []).flatMap(({ name, target }) =>
      query("annotation", `annotation ${name}`, target)
    ),
  ];
}

function milliseconds(text: string): number {
  const [, count, unit = ""] = /^(\d+)(s|m|h|d)$/.exec(text) ?? [];
  const size = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit];
  if (count === undefined || size === undefined) throw new TypeError(`${text} is no duration`);
  return Number(count) * size;
}
