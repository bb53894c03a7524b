import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { parse } from "yaml";
import { alertRules, dashboards, panels, provisioning } from "../../../grafana/queries/grafana_files.ts";
import { expandProvisioned } from "../../../grafana/queries/grafana_macros.ts";
import {
  alertingSchema,
  dataSourcesSchema,
  providersSchema,
} from "../../../grafana/queries/grafana_schemas.ts";

const FOLDER = "Heartbeat Monitoring";

Deno.test("the PostgreSQL data source uses heartbeat_reader, with the password from the environment", async () => {
  const { datasources } = dataSourcesSchema.parse(await provisioning("datasources/heartbeat.yaml"));
  assert.deepEqual(datasources.map(({ name, uid, user }) => [name, uid, user]), [
    ["Postgres-Heartbeats", "postgres-heartbeats", "heartbeat_reader"],
    ["Prometheus-Heartbeats", "prometheus-heartbeats", undefined],
  ]);
  assert.equal(datasources[0]?.isDefault, true);
  const password = expandProvisioned(datasources[0]?.secureJsonData?.password ?? "", {
    HEARTBEAT_READER_PASSWORD: "p",
  });
  assert.equal(password, "p");
});

Deno.test("the dashboards and the alert rules are in the same folder", async () => {
  const { providers } = providersSchema.parse(await provisioning("dashboards/heartbeat.yaml"));
  assert.deepEqual(providers.map(({ folder }) => folder), [FOLDER]);
  const { groups } = alertingSchema.parse(await provisioning("alerting/heartbeat_rules.yaml"));
  assert.deepEqual(groups.map(({ folder }) => folder), [FOLDER]);
});

Deno.test("there are eight alert rules, and each links to an existing panel", async () => {
  const rules = await alertRules();
  assert.deepEqual(rules.map(({ title }) => title), [
    "Ingestion stalled",
    "No consumer runs",
    "Lag growing",
    "Reject spike",
    "Many customers quiet at once",
    "Rollup stalled",
    "Unaccounted records",
    "Retention stalled",
  ]);
  assert.equal(new Set(rules.map(({ uid }) => uid)).size, rules.length);
  const models = new Map((await dashboards()).map(({ model }) => [model.uid, model]));
  for (const { title, dashboardUid, panelId } of rules) {
    const model = models.get(dashboardUid);
    assert.ok(model !== undefined && panels(model).some(({ id }) => id === panelId), title);
  }
});

Deno.test("the condition of each alert rule compares its last value", async () => {
  for (const { title, condition, data } of await alertRules()) {
    assert.equal(condition, data[2].refId, title);
    assert.equal(data[0].datasourceUid, data[0].model.datasource.uid, title);
    assert.ok(data[0].relativeTimeRange.from > 0, title);
  }
});

Deno.test("each alert rule explains its states for missing data and for errors", async () => {
  for (const { title, noDataState, execErrState, annotations } of await alertRules()) {
    assert.ok(annotations.no_data.startsWith(`${noDataState}: `), title);
    assert.ok(annotations.on_error.startsWith(`${execErrState}: `), title);
    assert.ok(annotations.no_data.length > 40 && annotations.on_error.length > 40, title);
  }
});

Deno.test("the texts of the alert rules contain no variable of Grafana's environment", async () => {
  for (const { title, data, annotations } of await alertRules()) {
    // Grafana does not expand environment variables in a query, so an escaped $$ would stay in the SQL.
    assert.doesNotMatch(data[0].model.rawSql, /\$\$/, title);
    for (const text of Object.values(annotations)) assert.doesNotMatch(text, /\$/, title);
    assert.match(annotations.summary, /\{\{.*\(index \.Values "B"\)\.Value \}\}/, title);
  }
});

Deno.test("docker-compose.yml gives Grafana every variable and folder that the provisioning files name", async () => {
  const root = new URL("../../../", import.meta.url);
  const { services: { grafana: { environment, volumes } } } = parse(
    await Deno.readTextFile(new URL("docker-compose.yml", root)),
    { merge: true },
  ) as { services: { grafana: { environment: Record<string, string>; volumes: string[] } } };
  const targets = volumes.map((volume) => volume.split(":")[1]);
  const variables = new Set<string>();
  const folder = new URL("grafana/provisioning/", root);
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".yaml")
  );
  for (const path of files) {
    const content = (await Deno.readTextFile(new URL(path, folder))).replace(/^\s*#.*$/gm, "");
    for (const [, name] of content.matchAll(/(?<!\$)\$(?:__env)?\{?([A-Z][A-Z_]*)/g)) {
      variables.add(name ?? "");
    }
    for (const [, folder] of content.matchAll(/^\s*path: (\S+)/gm)) {
      assert.ok(targets.includes(folder), `${path} names ${folder}`);
    }
  }
  assert.ok(variables.has("HEARTBEAT_READER_PASSWORD"), "the data source has no password");
  for (const name of variables) assert.ok(name in environment, `Grafana has no ${name}`);
});
