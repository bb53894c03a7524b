/** The provisioning files: Grafana starts without complaint, finds what they name, and the rules say what they mean. */
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

Deno.test("the data sources: the reader for PostgreSQL, its password from the environment", async () => {
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

Deno.test("the dashboards are read into one folder, which is the rules' folder", async () => {
  const { providers } = providersSchema.parse(await provisioning("dashboards/heartbeat.yaml"));
  assert.deepEqual(providers.map(({ folder }) => folder), [FOLDER]);
  const { groups } = alertingSchema.parse(await provisioning("alerting/heartbeat_rules.yaml"));
  assert.deepEqual(groups.map(({ folder }) => folder), [FOLDER]);
});

Deno.test("the alert rules are the eight, each leads to a panel that exists", async () => {
  const rules = await alertRules();
  assert.deepEqual(rules.map(({ title }) => title), [
    "Ingestion stalled",
    "No consumer runs",
    "Lag growing",
    "Reject spike",
    "Many customers quiet at once",
    "Rollup stands still",
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

Deno.test("each rule compares the last point of one time series, and the condition is the comparison", async () => {
  for (const { title, condition, data } of await alertRules()) {
    assert.equal(condition, data[2].refId, title);
    assert.equal(data[0].datasourceUid, data[0].model.datasource.uid, title);
    assert.ok(data[0].relativeTimeRange.from > 0, title);
  }
});

Deno.test("each rule says what no data and an error mean, and its text names the state that is set", async () => {
  for (const { title, noDataState, execErrState, annotations } of await alertRules()) {
    assert.ok(annotations.no_data.startsWith(`${noDataState}: `), title);
    assert.ok(annotations.on_error.startsWith(`${execErrState}: `), title);
    assert.ok(annotations.no_data.length > 40 && annotations.on_error.length > 40, title);
  }
});

Deno.test("no rule's text is taken for a variable of Grafana's environment", async () => {
  for (const { title, data, annotations } of await alertRules()) {
    // Throws for any that is not set, and none is.
    // As it is: Grafana looks for no variable of its environment in a query's model.
    const sql = data[0].model.rawSql;
    assert.doesNotMatch(sql, /\$\$/, title);
    assert.ok(!/\$\$/.test(sql), title);
    // No $ in them, so that it does not matter whether one would be read as a variable of the environment.
    for (const text of Object.values(annotations)) assert.doesNotMatch(text, /\$/, title);
    assert.match(annotations.summary, /\{\{.*\(index \.Values "B"\)\.Value \}\}/, title);
  }
});

Deno.test("Grafana's provisioning finds its variables and its dashboards in the container", async () => {
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
      assert.ok(targets.includes(folder), `${path} looks in ${folder}`);
    }
  }
  assert.ok(variables.has("HEARTBEAT_READER_PASSWORD"), "the data source has no password");
  for (const name of variables) assert.ok(name in environment, `Grafana is not given ${name}`);
});
